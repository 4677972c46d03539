/**
 * Pins what a build writes: a fixed set of small runs of its command line, and the SHA-256 of every file that must come out the
 * same. A change that is to change nothing is compared with a build from before it.
 *
 *   node scripts/pins.mjs --compare DIR              this checkout beside the built checkout DIR; exit code 1 where they differ
 *   node scripts/pins.mjs --compare FILE             the same beside what --write kept, on the same kind of machine
 *   node scripts/pins.mjs --build DIR --write FILE   runs the set with the built checkout DIR and keeps the hashes
 *
 * --build is this checkout where it is not given, and --compare is PTYCHOPINN_BASE. --only WORD does the runs whose name begins with
 * it, and those that they need; --keep DIR keeps what was written (a comparison that fails always does).
 *
 * ONNX Runtime chooses its kernels by the processor, so that only hashes of one machine can be compared; two builds that run side by
 * side can be compared everywhere. fixtures/pins.json is what commit c20a595 makes, after steps 10
 * to 12 gave trainings and solvers new defaults, pictures a vector renderer, and results their provenance.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gunzipSync, inflateRawSync } from 'node:zlib';
import { RUNS } from './pins/runs.mjs';

const HERE = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const SHARED = path.resolve(process.env.PTYCHOPINN_SHARED ?? path.join(HERE, '../shared'));

/** What may differ from fixtures/pins.json, and why: `{ file: /pattern/, reason: 'a sentence' }`. */
const EXCEPTIONS = [{ file: /(^|\/)index\.html$/, reason: 'pages say how many seconds the run took' }];

/** Files that say how a run went, not what came of it; the steps of a study keep hashes of files that know when they were made. */
const SKIPPED = /\.log$|events\.out\.tfevents|^study\/out\/steps\//;

/** Words of records and messages that are others since, and what they were: the texts around them must be the same. */
const REWORDED = [
  // Who computes a solver's passes is chosen by `passes`, not by `engine`.
  ['"passes":', '"engine":'],
  ['<b>Please note</b>', '<b>To be known</b>'],
  ['train again without --resume', 'train anew without --resume'],
  ['start again without --resume', 'begin anew without --resume'],
  ['  "preset": "published",\n', ''],
  ['every byte follows from its content', 'every byte is what its content comes to'],
];
const asBefore = (text) => REWORDED.reduce((old, [now, before]) => old.replaceAll(now, before), text);

/** Values that differ from run to run: in JSON files, and as members of NPZ files. */
const CHANGING = new Set(['finished', 'seconds', 'patterns_per_second', 'patternsPerSecond', 'computation_time_s']);
/** Fields of configurations that came later, and change nothing where they are not given. */
const LATER = new Set([
  'preset',
  'training_r',
  'strict',
  'r_factor_constant',
  'score',
  'input_reference',
  'input_reference_share',
  'auto_restart',
  'train_data_files',
  'num_datasets',
  'probe_conditioning',
]);
const CHANGING_MEMBERS = new Set(['_metadata.npy', 'computation_time_seconds.npy']);

const { values } = parseArgs({
  options: {
    build: { type: 'string', default: HERE },
    compare: { type: 'string', default: process.env.PTYCHOPINN_BASE },
    write: { type: 'string' },
    only: { type: 'string' },
    keep: { type: 'string' },
  },
});

const folder = values.keep ? path.resolve(values.keep) : await mkdtemp(path.join(tmpdir(), 'ptychopinn-pins-'));
const runs = wanted(values.only);
/** Where one build fails, the other one stops. */
const failure = new AbortController();
let keep = Boolean(values.keep);
try {
  const base = values.compare && path.resolve(values.compare);
  const stored = base?.endsWith('.json') && JSON.parse(await readFile(base, 'utf8'));
  const start = performance.now();
  const [now, before] = await Promise.all([
    pin(path.resolve(values.build), path.join(folder, 'now')),
    stored ? selected(stored) : base && pin(base, path.join(folder, 'before')),
  ]);
  const said = `${Object.keys(now.hashes).length} files of ${runs.length} runs in ${((performance.now() - start) / 1000).toFixed(0)} s`;
  if (values.write) await writeFile(values.write, `${JSON.stringify(now, null, 2)}\n`);
  if (!before) console.log(`${said}.`);
  else if (await differ(before, now)) {
    keep = true;
    process.exitCode = 1;
    console.log(`${said}. What was written is kept in ${folder}.`);
  } else console.log(`${said}: the same bytes.`);
} catch (error) {
  failure.abort();
  keep = true;
  console.error(`${error.message}\nWhat was written is kept in ${folder}.`);
  process.exitCode = 1;
} finally {
  if (!keep) await rm(folder, { recursive: true, force: true });
}

/** The runs that are asked for, and those that they need. */
function wanted(word) {
  const chosen = new Set(RUNS.filter(({ name }) => !word || name.startsWith(word)).map(({ name }) => name));
  for (const { name, needs = [] } of [...RUNS].reverse())
    if (chosen.has(name)) for (const need of needs) chosen.add(need);
  return RUNS.filter(({ name }) => chosen.has(name));
}

/** Of stored hashes those of the runs that are asked for. */
function selected(stored) {
  const names = new Set(runs.map(({ name }) => name));
  const hashes = Object.entries(stored.hashes).filter(([file]) => names.has(file.slice(0, file.indexOf('/'))));
  return { ...stored, hashes: Object.fromEntries(hashes) };
}

/** Runs everything with one build, in `root`; each run has a folder of its name, where all it writes is hashed. */
async function pin(build, root) {
  await rm(root, { recursive: true, force: true });
  const fixtures = path.join(root, 'fixtures');
  await cp(path.join(HERE, 'fixtures'), fixtures, { recursive: true });
  for (const file of (await filesIn(fixtures)).filter((file) => file.endsWith('.gz'))) {
    await writeFile(path.join(fixtures, file.slice(0, -3)), gunzipSync(await readFile(path.join(fixtures, file))));
  }
  const hashes = {};
  const skipped = [];
  // Builds that know presets have the published defaults, which the others have anyway, by naming theirs.
  const presets = existsSync(path.join(build, 'dist/config/trainingPresets.js'));
  const asked = (words) => (presets && isTraining(words) ? [...words, '--preset', 'published'] : words);
  for (const { name, copy, shared, place: placed = {}, files = {}, commands } of runs) {
    const place = path.join(root, name);
    if (shared && !existsSync(path.join(SHARED, shared))) {
      skipped.push(name);
      console.error(`${name}: skipped, there is no ${shared} in ${SHARED}`);
      continue;
    }
    await mkdir(place);
    if (copy) await cp(path.join(root, copy), place, { recursive: true });
    if (shared) await cp(path.join(SHARED, shared), path.join(root, 'shared', shared), { recursive: true });
    for (const [file, source] of Object.entries(placed)) await cp(path.join(root, source), path.join(place, file));
    for (const [file, text] of Object.entries(files)) await writeFile(path.join(place, file), text);
    for (const [i, { words, says, refused, stopAt }] of commands.entries()) {
      const { code, out, err } = await ptychopinn(build, root, asked(words), stopAt);
      const expected = stopAt ? code === 130 : refused ? code !== 0 && code !== null : code === 0;
      if (!expected) throw new Error(`${name} with ${build}: ptychopinn ${words.join(' ')} ended with ${code}\n${err}`);
      if (says) await writeFile(path.join(place, `said-${i}.txt`), out.replaceAll(root, '.'));
      if (refused) await writeFile(path.join(place, `refused-${i}.txt`), `${code}\n${out}${err}`.replaceAll(root, '.'));
    }
    for (const file of await filesIn(place)) {
      const key = `${name}/${file}`;
      if (!SKIPPED.test(key)) hashes[key] = hash(steady(file, await readFile(path.join(place, file))));
    }
  }
  const machine = `${cpus()[0]?.model ?? 'unknown processor'}, ${process.platform} ${process.arch}, Node ${process.version}`;
  const commit = await output('git', ['-C', build, 'rev-parse', 'HEAD']).catch(() => null);
  return { commit: commit?.out.trim(), machine, skipped, hashes };
}

/** Whether a command takes the fields of a training. */
function isTraining(words) {
  return words[0] === 'train' || words.slice(0, 3).join(' ') === 'config legacy train';
}

/** One command; with `stopAt` it gets SIGINT as soon as that file is there. */
async function ptychopinn(build, root, words, stopAt) {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PTYCHOPINN_')));
  const running = output(process.execPath, [path.join(build, 'dist/cli/main.js'), ...words], {
    cwd: root,
    env: { ...env, TZ: 'UTC' },
  });
  // Once: a second SIGINT would end it at once.
  const watch =
    stopAt &&
    setInterval(() => {
      if (!existsSync(path.join(root, stopAt))) return;
      clearInterval(watch);
      running.child.kill('SIGINT');
    }, 5);
  return running.finally(() => clearInterval(watch));
}

/** Runs a program to its end. */
function output(program, words, options) {
  const child = spawn(program, words, { ...options, signal: failure.signal, stdio: ['ignore', 'pipe', 'pipe'] });
  const text = { out: '', err: '' };
  child.stdout.on('data', (data) => (text.out += data));
  child.stderr.on('data', (data) => (text.err += data));
  const done = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, ...text }));
  });
  return Object.assign(done, { child });
}

/** Files below a folder, in order. */
async function filesIn(root) {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map((entry) => path.relative(root, path.join(entry.parentPath ?? entry.path, entry.name))).sort();
}

function hash(content) {
  return createHash('sha256').update(content).digest('hex');
}

/** The content of a file without what differs from run to run: the bytes themselves wherever nothing does. */
function steady(file, bytes) {
  const kind = path.extname(file);
  if (kind === '.npz') {
    const members = membersOf(bytes);
    if (!members.some(({ name }) => CHANGING_MEMBERS.has(name))) return bytes;
    return members.map(({ name, head, content }) => `${name} ${head} ${hash(content)}`).join('\n');
  }
  if (kind === '.json')
    return JSON.stringify(
      JSON.parse(
        withoutTimes(bytes.toString()),
        file.endsWith('reconstruction_manifest.json') ? withoutHashes : withoutRates,
      ),
      null,
      1,
    );
  if (kind === '.csv') return bytes.toString().replace(/^(.*,computation_time_s,.*),.*$/gm, '$1');
  if (kind === '.html') return withoutTimes(bytes.toString()).replace(/<td>[\d.]+ s<\/td>/g, '<td>… s</td>');
  return ['.txt', '.md'].includes(kind) ? withoutTimes(bytes.toString()) : bytes;
}

/** Text without times of the day, in the words of before. */
function withoutTimes(text) {
  return asBefore(text).replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, '(time)');
}

/** Leaves out hashes of files that know when or how long they were made, too; those files are pinned themselves. */
function withoutHashes(key, value) {
  return key === 'sha256' || key === 'scan_sha256' ? undefined : withoutRates(key, value);
}

/** Leaves out what differs from run to run. */
function withoutRates(key, value) {
  return CHANGING.has(key) ||
    LATER.has(key) ||
    (key === 'truth' && (value === null || value.source === 'default')) ||
    value?.metric === 'computation_time_s'
    ? undefined
    : value?.origin === 'preset published'
      ? { value: value.value, source: 'default' }
      : value;
}

/** Tells every difference; true where one of them is no exception. */
async function differ(before, now) {
  if (before.machine !== now.machine) {
    console.log(`Not the same machine: ${before.machine}, and here ${now.machine}. Differences may come from that.`);
  }
  const unknown = new Set([...before.skipped, ...now.skipped]);
  const files = [...new Set([...Object.keys(before.hashes), ...Object.keys(now.hashes)])].sort();
  let failed = false;
  for (const file of files) {
    if (before.hashes[file] === now.hashes[file] || unknown.has(file.slice(0, file.indexOf('/')))) continue;
    const exception = EXCEPTIONS.find((each) => each.file.test(file));
    failed ||= !exception;
    const how = !now.hashes[file] ? 'is missing' : !before.hashes[file] ? 'is new' : `differs${await where(file)}`;
    console.log(`${exception ? 'expected' : 'DIFFERS '} ${file} ${how}${exception ? `: ${exception.reason}` : ''}`);
  }
  return failed;
}

/** Which members of an archive differ, or which line of a text; nothing where only hashes are there. */
async function where(file) {
  const places = ['before', 'now'].map((name) => path.join(folder, name, file));
  if (!places.every((place) => existsSync(place))) return '';
  const [a, b] = await Promise.all(places.map((place) => readFile(place)));
  if (/\.(zip|npz)$/.test(file)) {
    const [x, y] = [a, b].map((bytes) => new Map(membersOf(bytes).map(({ name, content }) => [name, hash(content)])));
    const names = [...new Set([...x.keys(), ...y.keys()])].filter((name) => x.get(name) !== y.get(name));
    return ` in ${names.join(', ') || 'what is between its members'}`;
  }
  if (!/\.(json|csv|txt|md|html|svg|yaml|ini)$/.test(file)) return '';
  const [x, y] = [a, b].map((bytes) => steady(file, bytes).toString().split('\n'));
  const line = x.findIndex((text, i) => text !== y[i]);
  const short = (text) => (text === undefined ? 'nothing' : text.trim().slice(0, 160));
  return ` at line ${line + 1}: ${short(x[line])} → ${short(y[line])}`;
}

/** The members of a ZIP archive in order, with their flags, method and time, and their content without what changes. */
function membersOf(bytes) {
  const end = bytes.lastIndexOf('PK\x05\x06');
  const members = [];
  let at = bytes.readUInt32LE(end + 16);
  for (let i = bytes.readUInt16LE(end + 10); i > 0; i--) {
    const [length, extra, comment] = [28, 30, 32].map((offset) => bytes.readUInt16LE(at + offset));
    const name = bytes.toString('utf8', at + 46, at + 46 + length);
    const local = bytes.readUInt32LE(at + 42);
    const start = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
    const packed = bytes.subarray(start, start + bytes.readUInt32LE(at + 20));
    const head = bytes.toString('hex', at + 4, at + 16);
    members.push({
      name,
      head,
      content: CHANGING_MEMBERS.has(name) ? steadyMember(name, packed, bytes[at + 10]) : packed,
    });
    at += 46 + length + extra + comment;
  }
  return members;
}

/** The text of _metadata without times; of a time alone nothing is left. */
function steadyMember(name, packed, method) {
  if (name !== '_metadata.npy') return '';
  const text = (method ? inflateRawSync(packed) : packed).toString('latin1').replaceAll('\0', '');
  return withoutTimes(text);
}
