"""Typed settings that are written and read as text."""
from pathlib import Path


class Parameter:
    def __init__(self, value, minimum=None, maximum=None):
        self._value, self._minimum, self._maximum = value, minimum, maximum

    def get_value(self):
        value = self._value
        value = value if self._minimum is None else max(self._minimum, value)
        return value if self._maximum is None else min(self._maximum, value)

    def set_value(self, value, *, notify=True):
        self._value = value

    def get_value_as_string(self):
        return repr(self._value)


class StringParameter(Parameter):
    set_value_from_string = Parameter.set_value

    def get_value_as_string(self):
        return str(self._value)


class PathParameter(StringParameter):
    def set_value_from_string(self, value):
        self.set_value(Path(value))


class BooleanParameter(Parameter):
    def set_value_from_string(self, value):
        self.set_value(value.lower() in ('1', 'true', 't', 'yes', 'y'))


class IntegerParameter(Parameter):
    def set_value_from_string(self, value):
        self.set_value(int(value))


class RealParameter(Parameter):
    def set_value_from_string(self, value):
        self.set_value(float(value))


class ParameterGroup:
    def __init__(self):
        self._parameters, self._groups = {}, {}

    def parameters(self):
        return self._parameters

    def groups(self):
        return self._groups

    def create_group(self, name):
        if name in self._groups:
            raise ValueError(f'Group "{name}" is there already.')
        self._groups[name] = ParameterGroup()
        return self._groups[name]

    def _add(self, name, parameter):
        if name in self._parameters:
            raise ValueError(f'Parameter "{name}" is there already.')
        self._parameters[name] = parameter
        return parameter

    def create_string_parameter(self, name, value):
        return self._add(name, StringParameter(value))

    def create_path_parameter(self, name, value):
        return self._add(name, PathParameter(value))

    def create_boolean_parameter(self, name, value):
        return self._add(name, BooleanParameter(value))

    def create_integer_parameter(self, name, value, *, minimum=None, maximum=None):
        return self._add(name, IntegerParameter(value, minimum, maximum))

    def create_real_parameter(self, name, value, *, minimum=None, maximum=None):
        return self._add(name, RealParameter(value, minimum, maximum))
