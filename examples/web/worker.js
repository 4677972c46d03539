// The thread in which everything is computed; your bundler makes a script of its own of it.
import 'ptychopinn/web/worker';
