#!/usr/bin/env python3
"""Ptychodus with the reconstructors of ptychopinn in its menus, settings and batch mode; nothing of its code is changed.

    python3 ptychodus_with_ptychopinn.py                                              # the window
    python3 ptychodus_with_ptychopinn.py -b reconstruct -i staged -o done -s settings.ini

Takes the arguments of `ptychodus` and starts it when the libraries PtychoPINN, PtychoPINN-onnx and PtychoPINN-tf are among its own;
`Reconstructor/Algorithm = PtychoPINN/rPIE` then names one. Needs what Ptychodus needs, and Node.js. The worker is that of the package
this file lies in; PTYCHOPINN_WORKER names another command, for instance `npx ptychopinn worker`.

In batch mode a reconstruction that fails ends the program with exit code 1 and leaves no product-out.h5. In the window it is an
error in the log, and the product comes back as it was, with the message in its comments.
"""
import dataclasses, logging, os, runpy, shlex, signal, sys, threading
from pathlib import Path

from ptychodus_node_adapter import ReconstructOutput, Reconstructor, TrainableReconstructor, Worker, WorkerError

try:
    import _thread
    from ptychodus.api import reconstructor as host
except ImportError:
    host = None

LOGGER = 'ptychopinn_node'  # not below `ptychopinn`, which is the host's own library: its pane would show lines twice
FAILED = 1


class HostSettings:
    """Our settings as groups of the host's registry, where its window and its INI files find them."""

    def __init__(self, registry, described):
        self._parameters, self._sent = {}, {}
        for name, described_group in described.items():
            if name == 'Reconstructor':
                continue  # the host's own
            group = registry[name] if name in registry else registry.create_group(name)
            for key, about in described_group.items():
                parameter = group.parameters().get(key) or self._create(group, key, about)
                self._parameters[name, key] = parameter

    @staticmethod
    def _create(group, key, about):
        kind, default = about['kind'], about['default']
        bounds = {side: about.get(side) for side in ('minimum', 'maximum')}
        if kind == 'integer' and bounds['maximum'] is not None:
            bounds['maximum'] = min(bounds['maximum'], 2**31 - 1)  # what a window of Qt can show
        if kind == 'integer':
            return group.create_integer_parameter(key, int(default), **bounds)
        if kind == 'real':
            return group.create_real_parameter(key, float(default), **bounds)
        if kind == 'boolean':
            return group.create_boolean_parameter(key, default)
        return group.create_path_parameter(key, Path(default)) if kind == 'path' else group.create_string_parameter(key, default)

    def of(self, groups):
        """(name, parameter) of groups, for a window."""
        return [(f'{name}/{key}', parameter) for (name, key), parameter in self._parameters.items() if name in groups]

    def send(self, worker):
        """What has changed in the host since it was last sent."""
        changed = {}
        for (name, key), parameter in self._parameters.items():
            text = parameter.get_value_as_string()
            if self._sent.get((name, key)) != text:
                changed.setdefault(name, {})[key] = text
        if changed:
            worker.set_settings(changed)
            self._sent.update({(name, key): text for name, values in changed.items() for key, text in values.items()})

    def take(self, worker):
        """What the worker changed, after a model was opened or trained. Call it where the host's settings may be changed."""
        for (name, key), parameter in self._parameters.items():
            text = worker.settings.get(name, {}).get(key)
            if text is not None and text != parameter.get_value_as_string():
                parameter.set_value_from_string(text)
            self._sent[name, key] = parameter.get_value_as_string()


class HostReconstructor(Reconstructor):
    """A reconstructor that knows the host's settings, and whose errors do not leave the host waiting for its end."""
    settings = failed = delivered = None

    def _prepare(self):
        logger = self.worker.logger.getChild(self.library)
        level = logging.getLevelName(logger.getEffectiveLevel())
        if level != self.worker.log_level and level in ('CRITICAL', 'ERROR', 'WARNING', 'INFO', 'DEBUG'):
            self.worker.set_log_level(level)
        self.settings.send(self.worker)

    def reconstruct(self, parameters):
        product = parameters.product
        try:
            self._prepare()
            for output in super().reconstruct(parameters):
                yield output
                if self.delivered is not None:
                    self.delivered()
        except Exception as error:  # the host waits for the end of this loop, whatever happens in it
            self.worker.logger.getChild(self.library).error(f'{self.display_name} failed: {error}')
            if self.failed is not None:
                self.failed(error)
                raise
            comments = f'{self.display_name} failed, so that this is its input: {error}\n{product.metadata.comments}'
            metadata = dataclasses.replace(product.metadata, comments=comments)
            yield ReconstructOutput(dataclasses.replace(product, metadata=metadata), 0, FAILED)


class HostTrainableReconstructor(HostReconstructor, TrainableReconstructor):
    """The same with a model. The host calls these where its settings may be changed, and shows what they raise."""

    def open_model(self, file_path):
        self._prepare()
        super().open_model(file_path)
        self.settings.take(self.worker)

    load_model_from_file = open_model

    def export_training_data(self, file_path, parameters):
        self._prepare()
        super().export_training_data(file_path, parameters)

    def train(self, input_dir, output_dir=None):
        self._prepare()
        output = super().train(input_dir, output_dir)
        if output_dir is None:
            self.settings.take(self.worker)
        return output


class Library:
    """The host's ReconstructorLibrary: reconstructors under one name, and their log."""

    def __init__(self, name, worker, reconstructors):
        self.name, self._reconstructors = name, reconstructors
        self._logger = worker.logger.getChild(name)

    def __iter__(self):
        return iter(self._reconstructors)

    def log_levels(self):
        return 'CRITICAL', 'ERROR', 'WARNING', 'INFO', 'DEBUG'

    def get_logger(self):
        return self._logger

    def get_log_level(self):
        return logging.getLevelName(self._logger.getEffectiveLevel())

    def set_log_level(self, name):
        try:
            self._logger.setLevel(name)
        except ValueError:
            self._logger.error(f'Bad log level "{name}".')


if hasattr(host, 'ReconstructorLibrary'):
    host.ReconstructorLibrary.register(Library)


def libraries(settings_registry, worker=None, failed=None, delivered=None):
    """Our libraries for the host's list, with settings in its registry.

    `failed` hears of reconstructions that failed, which are raised then; `delivered` is called when the host has taken an output.
    """
    worker = worker or Worker(worker_command(), logger=logging.getLogger(LOGGER))
    settings = HostSettings(settings_registry, worker.described)
    found = {}
    for name, plain in worker.reconstructors.items():
        kind = HostTrainableReconstructor if plain.is_trainable else HostReconstructor
        reconstructor = kind(worker, plain.about)
        reconstructor.settings, reconstructor.failed, reconstructor.delivered = settings, failed, delivered
        found.setdefault(reconstructor.library, []).append(reconstructor)
        worker.reconstructors[name] = reconstructor
    return [Library(name, worker, reconstructors) for name, reconstructors in found.items()]


def merged(theirs, ours):
    """The host's libraries and ours. What the host has of its own under one of our names stays; a place that it holds free is taken."""
    taken, kept = set(), []
    for library in theirs:
        real = [r.get_name() for r in library if type(r).__name__ != 'NullReconstructor']
        if library.name not in {own.name for own in ours} or real:
            kept.append(library)
            taken.update((library.name, name) for name in real)
    for library in ours:
        library._reconstructors = [r for r in library if (library.name, r.get_name()) not in taken]
        for _, name in sorted(taken):
            if _ == library.name:
                library.get_logger().info(f'{library.name}/{name} is Ptychodus\' own; ours is PtychoPINN-onnx/{name}.')
    return [*kept, *ours]


def worker_command():
    """The worker of the package that this file lies in, or of the PATH."""
    given = os.environ.get('PTYCHOPINN_WORKER')
    if given:
        return shlex.split(given)
    cli = Path(__file__).resolve().parents[2] / 'dist' / 'cli' / 'main.js'
    return ['node', str(cli), 'worker', '--quiet'] if cli.is_file() else ['ptychopinn', 'worker', '--quiet']


class ReconstructionFailed(Exception):
    """Ends the host's batch mode, which waits for a reconstruction that has failed."""
    reason = None


def end_batch(error):
    """Wakes the main thread with an exception; called in the thread of the reconstruction."""
    ReconstructionFailed.reason = error
    number = getattr(signal, 'SIGUSR1', signal.SIGINT)
    _thread.interrupt_main(number)


def add_to_host(worker, batch):
    """Lets the host's model, and its window, start with our libraries."""
    from ptychodus.model import core

    class WithOurs(core.ReconstructorCore):
        def __init__(self, task_manager, settings_registry, dataset, product_api, library_seq):
            # Without a window nobody runs the tasks that put outputs into the product, so that what is saved would be the input.
            run = getattr(task_manager, 'run_foreground_tasks', None) if batch else None
            ours = libraries(settings_registry, worker, end_batch if batch else None, run)
            super().__init__(task_manager, settings_registry, dataset, product_api, merged(library_seq, ours))

    core.ReconstructorCore = WithOurs
    if batch:
        return
    try:
        from ptychodus.controller import core as window
    except ImportError:
        return  # no Qt; the host says so

    class WithViews(window.ReconstructorController):
        def __init__(self, *given):
            *others, dialogs, factories = given
            super().__init__(*others, dialogs, views(factories, worker, dialogs))

    window.ReconstructorController = WithViews


def views(factories, worker, dialogs):
    """What the host shows beside the name of a reconstructor: its own view of networks, and the settings of a group."""
    from ptychodus.api import parametric
    from ptychodus.controller.parametric import LineEditParameterViewController, ParameterViewBuilder

    class Factory:
        def __init__(self, library, own):
            self.backend_name, self.own = library, own

        def create_view_controller(self, name):
            reconstructor = next((r for r in worker.reconstructors.values() if (r.library, r.name) == (self.backend_name, name)), None)
            if reconstructor is None:
                return self.own.create_view_controller(name)
            trainable = reconstructor.is_trainable
            if trainable and self.own:
                return self.own.create_view_controller(name)
            groups = ('PtychoPINNModel', 'PtychoPINNTraining', 'PtychoPINNInference') if trainable else ('PtychoPINNSolver',)
            builder = ParameterViewBuilder(dialogs)
            for label, parameter in reconstructor.settings.of((*groups, 'PtychoPINNNode')):
                group, _, key = label.partition('/')
                if isinstance(parameter, parametric.BooleanParameter):
                    builder.add_check_box(parameter, key, group=group)
                elif isinstance(parameter, parametric.IntegerParameter):
                    builder.add_integer_line_edit(parameter, key, group=group)
                elif isinstance(parameter, parametric.RealParameter):
                    builder.add_decimal_line_edit(parameter, key, group=group)
                elif isinstance(parameter, parametric.PathParameter):
                    builder.add_file_opener(parameter, key, group=group)
                else:
                    builder.add_view_controller(LineEditParameterViewController(parameter), key, group=group)
            return builder.build_widget()

    own = {factory.backend_name: factory for factory in factories}
    ours = {r.library for r in worker.reconstructors.values()}
    return [*(f for name, f in own.items() if name not in ours), *(Factory(name, own.get(name)) for name in sorted(ours))]


def main():
    if host is None:
        sys.exit('Ptychodus cannot be imported by this Python; install it (pip install ptychodus), or use its environment.')
    if {'-h', '--help', '-v', '--version'} & set(sys.argv[1:]):
        runpy.run_module('ptychodus', run_name='__main__', alter_sys=True)
    batch = any(word in ('-b', '--batch') or word.startswith('--batch=') for word in sys.argv[1:])
    worker = None

    def fail(*_):
        raise ReconstructionFailed

    def interrupt(number, frame):
        threading.Thread(target=worker.cancel).start()  # the host's end waits for what is at work
        signal.default_int_handler(number, frame)

    try:
        worker = Worker(worker_command(), logger=logging.getLogger(LOGGER))
        add_to_host(worker, batch)
        if batch and hasattr(signal, 'SIGUSR1'):
            signal.signal(signal.SIGUSR1, fail)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, interrupt)
        runpy.run_module('ptychodus', run_name='__main__', alter_sys=True)
    except WorkerError as error:
        sys.exit(f'ptychopinn: {error}')
    except ReconstructionFailed:
        sys.exit(f'ptychopinn: the reconstruction failed, and no product was written: {ReconstructionFailed.reason}')
    except KeyboardInterrupt:
        sys.exit(130)
    except AttributeError as error:
        if 'ptychodus' not in str(error):
            raise
        sys.exit(f'ptychopinn: this version of Ptychodus is put together in another way: {error}; see docs/ptychodus.md.')
    finally:
        if worker is not None:
            worker.close()


if __name__ == '__main__':
    main()
