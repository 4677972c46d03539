/** The entry of the worker thread, and of the process that tries an accelerator. */
import { isMainThread } from 'node:worker_threads';
import { serve } from '../worker/serve.js';
import { Engine } from './engine.js';
import { answerTrial } from './trialProcess.js';

if (isMainThread) answerTrial();
else serve(new Engine());
