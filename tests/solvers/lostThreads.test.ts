/** Threads that die while others wait for them: the wait ends, with a sentence. Every way and place: `tests/slow/lostThreads.test.ts`. */
import { beforeEach, expect, it } from 'vitest';
import { expectGone, fault, lethal, openTeam, unharmed, watched } from '../support/lostThreads.js';

const SENTENCE =
  /^Thread 2 of 2 of the solver failed \(.+\), and the run ends with it; run it again, with fewer threads \(threads\) where memory is short\.$/;

beforeEach(unharmed);

it('in a pass', async () => {
  lethal('exit', 'changeColumns', 1);
  const team = await openTeam(2);
  expect(await fault(team.pass)).toMatch(SENTENCE);
  await expectGone(team);
});

it('in steps over planes, where the event loop has no turn', async () => {
  lethal('exit', 'addPlane');
  const team = await openTeam(2);
  expect(await fault(team.steps)).toMatch(SENTENCE);
  await expectGone(team);
});

it('before it is asked', async () => {
  const team = await openTeam(2);
  void watched()[0].terminate();
  expect(await fault(team.steps)).toMatch(SENTENCE);
  await expectGone(team);
});
