/** Says in one line, at the end of a run, what was skipped and why; loudest where golden parity was not checked. */
import type { Reporter, TestCase, TestModule } from 'vitest/node';

/** Part of the sentence that `describeShared` puts into the name of what it skips. */
const SHARED = /^no .* in .*PTYCHOPINN_SHARED/;

export default class SkippedReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const reasons = new Map<string, number>();
    for (const module of modules) {
      for (const test of module.children.allTests('skipped')) {
        const reason = reasonOf(test);
        reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      }
    }
    const line = skippedLine(reasons);
    if (line !== undefined) console.log(process.stdout.isTTY ? coloured(line) : line);
  }
}

/** The words after "skipped:" in the name of a test or of what it stands in. */
function reasonOf(test: TestCase): string {
  return /\(skipped: ([^()]*)\)/.exec(test.fullName)?.[1] ?? 'by the test itself or with -t';
}

/**
 * The line for reasons and how many tests each kept from running; undefined where nothing was skipped.
 * @example
 * skippedLine(new Map([['no Python with numpy', 3]])); // 'Skipped 3 tests: 3 no Python with numpy.'
 */
export function skippedLine(reasons: ReadonlyMap<string, number>): string | undefined {
  const list = [...reasons].sort(([a, n], [b, m]) => Number(SHARED.test(b)) - Number(SHARED.test(a)) || m - n);
  if (list.length === 0) return undefined;
  const total = list.reduce((sum, [, count]) => sum + count, 0);
  const parts = list.map(([reason, count]) => `${count} ${reason}`).join('; ');
  const loud = list.some(([reason]) => SHARED.test(reason)) ? 'GOLDEN PARITY WAS NOT CHECKED. ' : '';
  return `${loud}Skipped ${total} tests: ${parts}.`;
}

const [RED, YELLOW, PLAIN] = ['\u001b[1;41;97m', '\u001b[33m', '\u001b[0m'];
const coloured = (line: string) => `${line.startsWith('GOLDEN') ? RED : YELLOW}${line}${PLAIN}`;
