/** In place of `node:path`: paths of the page, which has no others than those with forward slashes. */

const WORKING_FOLDER = '/page';

export const sep = '/';

/** `a//b/../c` as `a/c`. */
export function normalize(path: string): string {
  const whole = path.startsWith('/');
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '' || name === '.') continue;
    if (name !== '..') names.push(name);
    else if (names.length > 0 && names[names.length - 1] !== '..') names.pop();
    else if (!whole) names.push('..');
  }
  const joined = names.join('/');
  return whole ? `/${joined}` : joined || '.';
}

export function join(...parts: string[]): string {
  return normalize(parts.filter((part) => part !== '').join('/') || '.');
}

export function resolve(...parts: string[]): string {
  let at = WORKING_FOLDER;
  for (const part of parts) if (part !== '') at = part.startsWith('/') ? part : `${at}/${part}`;
  return normalize(at);
}

export const isAbsolute = (path: string): boolean => path.startsWith('/');

export function dirname(path: string): string {
  const short = path.replace(/\/+$/, '');
  const at = short.lastIndexOf('/');
  return at > 0 ? short.slice(0, at) : at === 0 || (short === '' && path !== '') ? '/' : '.';
}

export function basename(path: string, suffix = ''): string {
  const name = path.replace(/\/+$/, '').split('/').pop() as string;
  return suffix !== '' && name !== suffix && name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
}

export function extname(path: string): string {
  const name = basename(path);
  const at = name.lastIndexOf('.');
  return at > 0 ? name.slice(at) : '';
}

export function relative(from: string, to: string): string {
  const namesOf = (path: string) =>
    resolve(path)
      .split('/')
      .filter((name) => name !== '');
  const [a, b] = [namesOf(from), namesOf(to)];
  let same = 0;
  while (same < a.length && same < b.length && a[same] === b[same]) same++;
  return [...a.slice(same).map(() => '..'), ...b.slice(same)].join('/');
}

export function parse(path: string) {
  const [base, ext, dir] = [basename(path), extname(path), dirname(path)];
  return {
    root: path.startsWith('/') ? '/' : '',
    dir: path.includes('/') ? dir : '',
    base,
    ext,
    name: basename(base, ext),
  };
}

export const posix = { sep, normalize, join, resolve, isAbsolute, dirname, basename, extname, relative, parse };
export default posix;
