/**
 * Type-checks the examples of doc comments: `npm run check:api` runs it.
 *
 * An example is a module of its own. That of a public name may use what its entry point exports, without an import, and names of the
 * reader's own (`raw`, `show`), which are of any type; but not what only the source exports, for a reader has no such thing. That at
 * the head of a file is for readers of the source and may use all that the source exports.
 *
 *   node scripts/check-examples.mjs            exit code 1, and a line for each mistake
 */
import path from 'node:path';
import ts from 'typescript';

/** Entry point of the package → its source. */
const ENTRIES = {
  ptychopinn: 'src/index.ts',
  ...Object.fromEntries(
    ['data', 'graph', 'reconstruction', 'solvers', 'evaluation', 'simulation', 'workflows', 'queue'].map((name) => [
      `ptychopinn/${name}`,
      `src/public/${name}.ts`,
    ]),
  ),
  'ptychopinn/web': 'src/public/web.ts',
  'ptychopinn/web/networks': 'src/public/webNetworks.ts',
  'ptychopinn/web/session': 'src/public/webSession.ts',
  'ptychopinn/ptychodus': 'src/adapters/ptychodus/index.ts',
  'ptychopinn/compat': 'src/adapters/compat/index.ts',
};

/** Names of the reader's own, whatever the source calls so; and modules. */
const OWN = new Set([
  'show',
  'input',
  'state',
  'step',
  'square',
  'updates',
  'probeWeights',
  'values',
  'counts',
  'gradients',
  'averages',
  'rates',
  'before',
  'placed',
]);
const OWN_MODULES = new Set(['./mine.js']);

const root = process.cwd();
const { options } = ts.parseJsonConfigFileContent(
  ts.readConfigFile('tsconfig.build.json', ts.sys.readFile).config,
  ts.sys,
  root,
);
const settings = {
  ...options,
  noEmit: true,
  incremental: false,
  composite: false,
  tsBuildInfoFile: undefined,
  noUnusedLocals: false,
  noImplicitAny: false,
  verbatimModuleSyntax: false,
  noUnusedParameters: false,
  allowUnreachableCode: true,
  skipLibCheck: true,
  paths: Object.fromEntries(Object.entries(ENTRIES).map(([name, file]) => [name, [path.resolve(file)]])),
};

const program = ts.createProgram(
  Object.values(ENTRIES).map((file) => path.resolve(file)),
  settings,
);
const checker = program.getTypeChecker();
const examples = Object.entries(ENTRIES).flatMap(([entry, file]) => examplesOf(entry, path.resolve(file)));
const internal = exportedNames();
const published = new Set(Object.values(ENTRIES).map((file) => path.resolve(file)));
for (const file of program.getSourceFiles()) {
  const text = file.isDeclarationFile || published.has(file.fileName) ? undefined : headOf(file);
  if (text) examples.push({ entry: null, file: file.fileName, name: path.relative(root, file.fileName), text });
}
const exported = new Map(Object.entries(ENTRIES).map(([entry, file]) => [entry, namesOf(path.resolve(file))]));

const placeOf = ({ file }, i) => path.resolve(file ? path.dirname(file) : 'src', `__example${i}.ts`);
const sources = new Map(examples.map((example, i) => [placeOf(example, i), { example, own: new Set() }]));
let mistakes = [];
// Twice: what is not known the first time is the reader's own.
for (const last of [false, true]) {
  mistakes = diagnose(last);
}
for (const line of mistakes) console.error(line);
console.log(`${examples.length} examples, ${mistakes.length} mistakes.`);
process.exitCode = mistakes.length > 0 ? 1 : 0;

/** The examples of what an entry point exports, with those of its members. */
function examplesOf(entry, file) {
  const found = [];
  const seen = new Set();
  const source = program.getSourceFile(file);
  const take = (node, name) => {
    for (const tag of ts.getJSDocTags(node)) {
      const text = tag.tagName.text === 'example' ? ts.getTextOfJSDocComment(tag.comment)?.trim() : undefined;
      if (!text || seen.has(text)) continue;
      seen.add(text);
      found.push({ entry, name, text: codeOf(text) });
    }
  };
  const first = headOf(source);
  if (first) found.push({ entry, name: 'the module', text: first });
  for (const symbol of checker.getExportsOfModule(checker.getSymbolAtLocation(source))) {
    const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
    for (const declaration of target.declarations ?? []) {
      const node = ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration;
      take(node, symbol.name);
      for (const member of declaration.members ?? []) take(member, `${symbol.name}.${member.name?.getText?.() ?? ''}`);
    }
  }
  return found;
}

/** The example in the comment at the head of a file. */
function headOf(source) {
  const head = ts.getLeadingCommentRanges(source.text, 0)?.[0];
  const comment = head && source.text.slice(head.pos, head.end);
  const [, first] = /@example\n([\s\S]*?)(?:\n \*\/|\n \* @|$)/.exec(comment ?? '') ?? [];
  return first && codeOf(first.replace(/^ \* ?/gm, ''));
}

/** Without the fences of Markdown; `…` stands for what the reader has besides. */
function codeOf(text) {
  return text
    .replace(/^```\w*\n?/gm, '')
    .replace(/```$/gm, '')
    .replace(/\{ …, /g, '{ ...besides, ')
    .replace(/, … \}/g, ', ...besides }')
    .replace(/\{ … \}/g, '{}');
}

function namesOf(file) {
  return new Set(
    checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(file))).map(({ name }) => name),
  );
}

/** Every name that some file of the source exports, and the file. */
function exportedNames() {
  const names = new Map();
  for (const file of program.getSourceFiles()) {
    if (file.isDeclarationFile || !file.fileName.startsWith(path.resolve('src'))) continue;
    const symbol = checker.getSymbolAtLocation(file);
    if (symbol)
      for (const { name } of checker.getExportsOfModule(symbol))
        if (!names.has(name) || !reexports(file)) names.set(name, file.fileName);
  }
  return names;
}

function reexports(file) {
  return /^src\/(index\.ts|public\/)/.test(path.relative(root, file.fileName));
}

/** The module of an example: what it does not import comes from its entry point, the reader's own names are of any type. */
function moduleOf({ example: { entry, file, text }, own }) {
  const words = new Set(text.match(/[A-Za-z_$][\w$]*/g));
  const imported = new Set(
    [...text.matchAll(/import\s+(?:type\s+)?\{([^}]*)\}/g)].flatMap(([, names]) =>
      names.split(',').map((name) => name.trim().replace(/^type /, '')),
    ),
  );
  const declared = new Set(
    [...text.matchAll(/\b(?:const|let|function|class)\s+(?:[{[]([^}\]]*)[}\]]|(\w+))/g)].flatMap(([, many, one]) =>
      one ? [one] : many.split(',').map((name) => name.replace(/.*:/, '').trim()),
    ),
  );
  const known = entry === null ? [...namesOf(file), ...internal.keys()] : [...exported.get(entry)];
  const ofFile = entry === null ? namesOf(file) : undefined;
  const used = [...new Set(known)].filter(
    (name) => words.has(name) && !imported.has(name) && !declared.has(name) && (!OWN.has(name) || ofFile?.has(name)),
  );
  const place = (name) =>
    (entry !== null ? entry : namesOf(file).has(name) ? file : internal.get(name)).replace(/\.ts$/, '.js');
  const lines = [
    used.map((name) => `import { ${name} } from '${place(name)}';`).join(' '),
    [...own].map((name) => `declare const ${name}: any;`).join(' '),
  ];
  return `${lines.join(' ')} export {};\n${text}\n`;
}

function diagnose(last) {
  const host = ts.createCompilerHost(settings);
  const read = host.getSourceFile;
  host.getSourceFile = (name, ...rest) => {
    const found = sources.get(path.resolve(name));
    return found
      ? ts.createSourceFile(
          name,
          moduleOf(found),
          { languageVersion: ts.ScriptTarget.ESNext, impliedNodeFormat: ts.ModuleKind.ESNext },
          true,
        )
      : (program.getSourceFile(name) ?? read.call(host, name, ...rest));
  };
  const exists = host.fileExists;
  host.fileExists = (name) => sources.has(path.resolve(name)) || exists.call(host, name);
  const checked = ts.createProgram([...sources.keys()], settings, host);
  const lines = [];
  for (const [file, source] of sources) {
    const node = checked.getSourceFile(file);
    for (const diagnostic of [...checked.getSyntacticDiagnostics(node), ...checked.getSemanticDiagnostics(node)]) {
      const message = ts.flattenDiagnosticMessageText(diagnostic.messageText, ' ');
      const unknown = [2304, 2552, 18004, 2503].includes(diagnostic.code) ? /'(\w+)'/.exec(message)?.[1] : undefined;
      if (unknown && !last && (OWN.has(unknown) || !internal.has(unknown))) {
        source.own.add(unknown);
        continue;
      }
      if (OWN_MODULES.has(/module '([^']+)'/.exec(message)?.[1])) continue;
      const { line } = node.getLineAndCharacterOfPosition(diagnostic.start ?? 0);
      const { entry, name, text } = source.example;
      const where = entry === null ? name : `${entry}, ${name}`;
      const advice =
        unknown && entry !== null && internal.has(unknown) ? ` (exported by the source, but not by ${entry})` : '';
      lines.push(`${where}: ${message}${advice}\n    ${(text.split('\n')[line - 1] ?? '').trim()}`);
    }
  }
  return lines;
}
