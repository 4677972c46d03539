/** The worker's entry. */
import { serve } from '../worker/serve.js';
import { TfEngine } from './engine.js';

serve(new TfEngine());
