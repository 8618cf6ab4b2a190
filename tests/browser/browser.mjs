// A page in Debian's Chromium, with a profile of its own that is gone afterwards. Nothing but the loopback is reached.
import { chromium } from 'playwright-core';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// Far more than anything takes, as tests run side by side on a few processors.
const PATIENCE = 60_000;

/** Runs `work(page)`; when it fails, says where the page was and leaves a picture in the folder SHOTS, if that is set. */
export async function inBrowser(work) {
  const profile = mkdtempSync(join(tmpdir(), 'rohrpost-browser-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    ignoreHTTPSErrors: true,
    viewport: { width: 1400, height: 900 },
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
    ],
  });
  const page = context.pages()[0] ?? (await context.newPage());
  page.setDefaultTimeout(PATIENCE);
  const said = [];
  page.on('pageerror', (error) => said.push(`error in the page: ${error.message}`));
  page.on('dialog', (dialog) => dialog.accept());
  try {
    await work(page);
  } catch (error) {
    if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, 'failed.png') }).catch(() => {});
    console.error(`at ${page.url()}\n${said.join('\n')}`);
    throw error;
  } finally {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  }
}

/** A setting that the test gives by the environment. */
export function setting(name) {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

/** Fails unless `found` is `expected`. */
export function same(found, expected, what) {
  if (found !== expected) throw new Error(`${what}: expected ${JSON.stringify(expected)}, found ${JSON.stringify(found)}`);
}

/** Asks again until `look()` gives something true, within bounds. */
export async function until(what, look) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
