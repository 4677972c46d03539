/**
 * The page in a browser: what is dropped is opened, looked at, solved and saved; hostile files give sentences; a run survives a reload; each
 * view is free of serious faults for those who use keys or hear it; runs of a folder are followed. Needs Debian's chromium and
 * `npm run build`. With PTYCHOPINN_APP_PICTURES=DIR each view is drawn.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { AxeBuilder } from '@axe-core/playwright';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openScan, runSolver } from '../../src/index.js';

const CHROMIUM = '/usr/bin/chromium';
const reason = existsSync(CHROMIUM) ? undefined : 'no chromium (apt-get install chromium)';
const cli = path.resolve('dist/cli/main.js');
const EPOCHS = 10;
const pictures = process.env.PTYCHOPINN_APP_PICTURES;

describe.skipIf(reason !== undefined)(`the page${reason ? ` (skipped: ${reason})` : ''}`, () => {
  let folder: string;
  let browser: Browser;
  let server: ChildProcess;
  let url: string;
  const at = (name: string) => path.join(folder, name);
  const ptychopinn = (...words: string[]) => promisify(execFile)(process.execPath, [cli, ...words], { cwd: folder });

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-app-'));
    const recipe = [
      '--N',
      '64',
      '--object',
      'dead_leaves',
      '--object_side_px',
      '128',
      '--step_px',
      '5',
      '--photons',
      '2e5',
    ];
    await ptychopinn('simulate', ...recipe, '--seed', '3', '--output_file', 'scan.npz');
    await ptychopinn('product', 'export', 'scan.npz', '--output_file', 'scan-product.h5').catch(() => {});
    await ptychopinn('solve', 'scan.npz', '--epochs', '5', '--output_dir', 'solved');
    writeFileSync(at('no-scan.npz'), 'PK\u0003\u0004 but nothing behind it');
    writeFileSync(at('empty.h5'), '');
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
    server = spawn(process.execPath, [cli, 'view', folder], { stdio: ['ignore', 'pipe', 'inherit'] });
    url = await new Promise<string>((resolve) =>
      server.stdout?.once('data', (text: Buffer) => resolve(String(text).trim())),
    );
  });
  afterAll(async () => {
    await browser?.close();
    server?.kill();
    await rm(folder, { recursive: true, force: true });
  });

  /** A page whose faults are collected. */
  async function open(address = url): Promise<{ readonly page: Page; readonly faults: string[] }> {
    const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
    const faults: string[] = [];
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') faults.push(message.text());
    });
    await page.goto(address);
    await page.getByRole('button', { name: 'Take a sample scan' }).waitFor();
    return { page, faults };
  }
  const tab = (page: Page, name: string) => page.getByRole('tab', { name }).click();
  const said = async (page: Page, words: RegExp, seconds = 120) => {
    await page.locator('footer', { hasText: words }).waitFor({ timeout: 1000 * seconds });
    return (await page.textContent('footer [role=status]')) ?? '';
  };
  const drop = (page: Page, ...names: string[]) => page.locator('input[type=file]').setInputFiles(names.map(at));
  async function picture(page: Page, name: string): Promise<void> {
    if (pictures === undefined) return;
    mkdirSync(pictures, { recursive: true });
    await page.screenshot({ path: path.join(pictures, `app_${name}.png`) });
  }
  async function expectAccessible(page: Page): Promise<void> {
    const { violations } = await new AxeBuilder({ page: page as never }).analyze();
    const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
    expect(serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`)).toEqual(
      [],
    );
  }

  it('opens a scan, shows it, solves it as the library does, and saves it', async () => {
    const { page, faults } = await open();
    await picture(page, 'open');
    await expectAccessible(page);
    await drop(page, 'scan.npz');
    await said(page, /scan\.npz: \d+ patterns of 64×64/);
    await page.waitForTimeout(1000);
    await picture(page, 'look');
    await expectAccessible(page);
    await tab(page, 'Solve');
    await page.getByLabel('epochs', { exact: false }).first().fill(String(EPOCHS));
    await page.getByLabel('epochs', { exact: false }).first().blur();
    await page.getByRole('button', { name: 'Solve', exact: true }).click();
    const line = await said(page, /rPIE: R \d/);
    await page.waitForTimeout(500);
    const raw = await openScan(at('scan.npz'));
    const { rFactor } = await runSolver(raw, { algorithm: 'rpie', epochs: EPOCHS });
    await raw.close();
    expect(Number(/R (0\.\d+)/.exec(line)?.[1])).toBeCloseTo(rFactor, 3);
    await picture(page, 'solve');
    await expectAccessible(page);
    // Once more, in another way, and both beside each other.
    await page.getByLabel('algorithm').selectOption('lsqml');
    await page.getByRole('button', { name: 'Solve', exact: true }).click();
    await said(page, /LSQ-?ML: R \d/);
    await tab(page, 'Compare');
    await page.getByText(/They differ by/).waitFor();
    await picture(page, 'compare');
    await expectAccessible(page);
    await tab(page, 'Save');
    await expectAccessible(page);
    await picture(page, 'save');
    expect(await page.textContent('pre')).toBe(`ptychopinn solve scan.npz --epochs ${EPOCHS} --algorithm lsqml`);
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'NPZ' }).click();
    await (await download).saveAs(at('saved.npz'));
    const { stdout } = await ptychopinn('evaluate', 'scan.npz', '--reconstruction', 'saved.npz');
    expect(stdout).toMatch(/error/i);
    await tab(page, 'Network');
    await picture(page, 'network');
    await expectAccessible(page);
    expect(faults).toEqual([]);
  });

  it('says what is wrong with a file, and goes on', async () => {
    const { page } = await open();
    await drop(page, 'no-scan.npz');
    expect(await said(page, /no-scan/)).not.toContain('Unexpected error');
    await drop(page, 'empty.h5');
    expect(await said(page, /empty/)).not.toContain('Unexpected error');
    await drop(page, 'scan.npz');
    await said(page, /scan\.npz: \d+ patterns/);
  });

  it('does one thing at a time, and mixes up no scans', async () => {
    const { page, faults } = await open();
    // Dropped beside the box, too; how it was opened stays with the run.
    const bytes = readFileSync(at('scan.npz')).toString('base64');
    const data = await page.evaluateHandle(
      `(() => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([Uint8Array.from(atob('${bytes}'), (c) => c.charCodeAt(0))], 'swapped.npz'));
        return transfer;
      })()`,
    );
    await page.dispatchEvent('header', 'drop', { dataTransfer: data });
    await said(page, /swapped\.npz: \d+ patterns/);
    await page.getByLabel('swap_xy', { exact: true }).check();
    await page.getByRole('button', { name: 'Open again' }).click();
    await page.locator('footer li').nth(3).waitFor({ state: 'attached' });
    await tab(page, 'Solve');
    const epochs = page.getByLabel('epochs', { exact: false }).first();
    await epochs.fill('100000');
    await epochs.blur();
    await page.getByRole('button', { name: 'Solve', exact: true }).click();
    await page.getByText(/Solving +epoch \d+ of 100000/).waitFor();
    await tab(page, 'Open');
    await drop(page, 'scan.npz');
    await said(page, /A solver is at work: wait for it, or stop it first\./);
    await tab(page, 'Solve');
    // What was typed is still there.
    expect(await epochs.inputValue()).toBe('100000');
    expect(await page.textContent('.runbar')).toMatch(/Solving/);
    await page.getByRole('button', { name: 'Stop' }).click();
    await said(page, /rPIE: R \d/);
    await tab(page, 'Save');
    expect(await page.textContent('pre')).toBe('ptychopinn solve swapped.npz --swap_xy --epochs 100000');
    await tab(page, 'Open');
    await drop(page, 'scan.npz');
    await said(page, /scan\.npz: \d+ patterns/);
    await tab(page, 'Solve');
    // The image is of the other scan: it is kept, and not shown as one of this.
    await page.getByText('The object appears here').waitFor();
    await tab(page, 'Save');
    expect(await page.textContent('option')).toMatch(/^1: swapped\.npz rPIE, R 0\.\d+$/);
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'PRODUCT' }).click();
    expect((await download).suggestedFilename()).toBe('product.h5');
    await tab(page, 'Open');
    for (const address of ['ftp://example.org/scan.h5', 'https://']) {
      // The browser's own check of addresses is not in the way of those who type quickly.
      await page.getByLabel('or an address').evaluate((input) => input.setAttribute('type', 'text'));
      await page.getByLabel('or an address').fill(address);
      await page.getByRole('button', { name: 'Open', exact: true }).click();
      await said(page, /is no address of the web/);
    }
    expect(faults).toEqual([]);
  });

  it('runs a network, and says what does the same', async () => {
    const training = ['--nepochs', '1', '--n_groups', '8', '--n_filters_scale', '1', '--accelerator', 'cpu'];
    await ptychopinn('train', 'scan.npz', '--output_dir', 'model', ...training);
    const { page, faults } = await open();
    await drop(page, 'scan.npz');
    await said(page, /scan\.npz: \d+ patterns/);
    await tab(page, 'Open');
    await drop(page, 'model/wts.zip');
    await page.getByRole('button', { name: 'Reconstruct', exact: true }).click({ timeout: 60_000 });
    await page.getByRole('img', { name: 'Image of the network' }).waitFor({ timeout: 60_000 });
    await page.locator('.runbar').waitFor({ state: 'detached', timeout: 60_000 });
    await tab(page, 'Save');
    const line = (await page.textContent('pre')) ?? '';
    expect(line).toBe('ptychopinn infer scan.npz --model_path wts.zip');
    // It does what it says, where the bundle has been saved.
    copyFileSync(at('model/wts.zip'), at('wts.zip'));
    await ptychopinn(...line.split(' ').slice(1), '--output_dir', 'inferred');
    expect(existsSync(at('inferred/reconstruction.npz'))).toBe(true);
    expect(faults).toEqual([]);
  });

  it('keeps a run over a reload', async () => {
    const { page } = await open();
    await drop(page, 'scan.npz');
    await said(page, /scan\.npz: \d+ patterns/);
    await tab(page, 'Solve');
    await page.getByLabel('epochs', { exact: false }).first().fill('100000');
    await page.getByLabel('epochs', { exact: false }).first().blur();
    await page.getByRole('button', { name: 'Solve', exact: true }).click();
    // A state is kept every five seconds.
    await page.waitForTimeout(9000);
    await page.reload();
    await page.getByRole('button', { name: 'Go on with it' }).click();
    await page.getByText(/Solving +epoch \d+ of 100000/).waitFor({ timeout: 60_000 });
    const epoch = Number(/epoch (\d+) of/.exec((await page.textContent('.runbar')) ?? '')?.[1]);
    expect(epoch).toBeGreaterThan(5);
    await page.getByRole('button', { name: 'Stop' }).click();
    await said(page, /rPIE: R \d/);
  });

  it('opens scans of the folder by ranges, and follows its runs', async () => {
    const { page, faults } = await open();
    await page.getByText('solved', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'open the image' }).first().click();
    await tab(page, 'Save');
    await page.getByRole('img', { name: /rPIE|solved|reconstruction/ }).waitFor();
    await tab(page, 'Open');
    await page.getByRole('button', { name: 'scan.npz', exact: true }).click();
    await said(page, /scan\.npz: \d+ patterns/);
    const running = spawn(process.execPath, [cli, 'solve', 'scan.npz', '--epochs', '100000', '--preview_seconds', '1', '--output_dir', 'live'], { cwd: folder, stdio: 'ignore' }); // biome-ignore format: one call
    await tab(page, 'Open');
    await page.locator('li', { hasText: 'live' }).getByText('running').waitFor({ timeout: 30_000 });
    await page.locator('li', { hasText: 'live' }).locator('img').waitFor({ timeout: 30_000 });
    await picture(page, 'folder');
    running.kill();
    expect(faults).toEqual([]);
  });
});
