"""The settings of all parts of the host, and their INI file."""
import configparser

from .parametric import ParameterGroup


class SettingsRegistry:
    def __init__(self):
        self._root = ParameterGroup()

    def create_group(self, name):
        return self._root.create_group(name)

    def __iter__(self):
        return iter(self._root.groups())

    def __getitem__(self, name):
        return self._root.groups()[name]

    def open_settings(self, file_path):
        config = configparser.ConfigParser(interpolation=None)
        config.read(file_path)
        for name, group in self._root.groups().items():
            for key, parameter in group.parameters().items():
                if name in config and key in config[name]:
                    parameter.set_value_from_string(config[name][key])

    def save_settings(self, file_path):
        config = configparser.ConfigParser(interpolation=None)
        config.optionxform = str
        for name, group in self._root.groups().items():
            config[name] = {key: parameter.get_value_as_string() for key, parameter in group.parameters().items()}
        with open(file_path, 'w') as file:
            config.write(file)
