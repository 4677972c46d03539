/** The worker's entry. */
import { serve } from '../worker/serve.js';
import { Engine } from './engine.js';

serve(new Engine());
