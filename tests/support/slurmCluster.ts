/** A cluster of one node on 127.0.0.1, of Debian's slurmctld, slurmd and munge, started and stopped by a test that runs as root. */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe } from 'vitest';
import { freePort } from './freePort.js';

const programs = ['munged', 'slurmctld', 'slurmd', 'sbatch', 'squeue', 'scontrol', 'scancel'];
const missing = programs.filter((name) => spawnSync('which', [name]).status !== 0);
const reason =
  missing.length > 0 ? `no ${missing.join(', ')} (apt-get install slurmctld slurmd slurm-client munge)` : process.getuid?.() === 0 ? undefined : 'a cluster of one node needs root'; // biome-ignore format: one line
if (reason !== undefined && process.env.PTYCHOPINN_REQUIRE_SLURM === '1') throw new Error(reason);

/** `describe` where a cluster can be started; skipped with the reason elsewhere. */
export const describeSlurm = (name: string, body: () => void): void => {
  if (reason === undefined) describe(name, body);
  else describe.skip(`${name} (skipped: ${reason})`, body);
};

/** A cluster that runs. */
export interface SlurmCluster {
  /** For the programs that talk to it. */
  readonly env: NodeJS.ProcessEnv;
  /** What a program of Slurm prints. */
  run(program: string, ...words: string[]): Promise<string>;
  /** Takes the power off the node: its daemon and all that it runs are gone at once. */
  killNode(): Promise<void>;
  /** Switches it on again. */
  startNode(): void;
  stop(): Promise<void>;
}

const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

/** Starts one in a folder. */
export async function startSlurm(folder: string, cpus = 2): Promise<SlurmCluster> {
  const host = hostname().split('.')[0];
  for (const name of ['state', 'spool', 'munge'])
    await mkdir(path.join(folder, name), { recursive: true, mode: 0o755 });
  const key = path.join(folder, 'munge', 'key');
  await writeFile(key, randomBytes(128), { mode: 0o600 });
  const file = (name: string) => path.join(folder, name);
  const [controller, node] = [await freePort(), await freePort()];
  await writeFile(
    file('slurm.conf'),
    Object.entries({
      ClusterName: 'local',
      SlurmctldHost: `${host}(127.0.0.1)`,
      SlurmUser: 'root',
      SlurmdUser: 'root',
      SlurmctldPort: controller,
      SlurmdPort: node,
      AuthType: 'auth/munge',
      AuthInfo: `socket=${file('munge/socket')}`,
      CommunicationParameters: 'NoInAddrAny,NoCtldInAddrAny',
      MpiDefault: 'none',
      ProctrackType: 'proctrack/linuxproc',
      TaskPlugin: 'task/none',
      JobAcctGatherType: 'jobacct_gather/none',
      AccountingStorageType: 'accounting_storage/none',
      SelectType: 'select/cons_tres',
      SelectTypeParameters: 'CR_CPU',
      ReturnToService: 2,
      SlurmdTimeout: 10,
      KillWait: 20,
      StateSaveLocation: file('state'),
      SlurmdSpoolDir: file('spool'),
      SlurmctldPidFile: file('slurmctld.pid'),
      SlurmdPidFile: file('slurmd.pid'),
      SlurmctldLogFile: file('slurmctld.log'),
      SlurmdLogFile: file('slurmd.log'),
      NodeName: `${host} NodeAddr=127.0.0.1 CPUs=${cpus} RealMemory=4000`,
      PartitionName: `main Nodes=${host} Default=YES State=UP`,
    })
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  );
  const env = { ...process.env, SLURM_CONF: file('slurm.conf') };
  const daemons: ChildProcess[] = [];
  const daemon = (program: string, words: readonly string[]) => {
    const child = spawn(program, words, { env, stdio: 'ignore', detached: true });
    daemons.push(child);
    return child;
  };
  daemon('munged', ['--foreground', '--force', `--key-file=${key}`, `--socket=${file('munge/socket')}`, `--pid-file=${file('munge/pid')}`, `--log-file=${file('munge/log')}`, `--seed-file=${file('munge/seed')}`]); // biome-ignore format: one call
  await pause(1000);
  daemon('slurmctld', ['-D']);
  let slurmd = daemon('slurmd', ['-D', '-N', host]);
  const run = async (program: string, ...words: string[]) =>
    (await promisify(execFile)(program, words, { env })).stdout.trim();
  for (let tries = 0; ; tries++) {
    const state = await run('sinfo', '-h', '-o', '%t').catch(() => '');
    if (state.startsWith('idle')) break;
    if (tries === 60) throw new Error(`the cluster did not come up: ${state}; see ${file('slurmctld.log')}`);
    await pause(500);
  }
  return {
    env,
    run,
    async killNode() {
      // The daemons of steps have groups of their own, and so have the jobs.
      for (const pid of await descendants()) kill(pid);
      slurmd.kill('SIGKILL');
      for (const pid of await descendants()) kill(pid);
    },
    startNode() {
      slurmd = daemon('slurmd', ['-D', '-N', host]);
    },
    async stop() {
      await run('scancel', '--user=root').catch(() => '');
      for (const pid of await descendants()) kill(pid);
      for (const child of daemons.reverse()) child.kill('SIGKILL');
    },
  };

  /** Processes whose environment names this cluster, but for the daemons. */
  async function descendants(): Promise<number[]> {
    const { stdout } = await promisify(execFile)('grep', ['-lsz', `SLURM_CONF=${file('slurm.conf')}`, '-r', '--include=environ', '/proc', '--exclude-dir=task', '--exclude-dir=self', '--exclude-dir=thread-self']).catch((error: { stdout: string }) => error); // biome-ignore format: one call
    const own = new Set(daemons.map(({ pid }) => pid));
    return [...stdout.matchAll(/\/proc\/(\d+)\/environ/g)].map(([, pid]) => Number(pid)).filter((pid) => pid !== process.pid && !own.has(pid)); // biome-ignore format: one chain
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}
