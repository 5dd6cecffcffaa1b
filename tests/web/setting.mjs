// SPDX-License-Identifier: Apache-2.0
// Where things are, the libraries from build/web/node_modules, and the browser.
import { accessSync, constants, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join, resolve } from 'node:path';

export const WEB = resolve(process.env.BUILD ?? 'build', 'web');
export const DRSIM = resolve(process.env.DRSIM ?? 'build/release/drsim');
const require = createRequire(join(WEB, 'here.js'));

export const AXE = require('axe-core').source;

// The first of these programs on PATH.
export function program(...names) {
	for (const name of names)
		for (const folder of process.env.PATH.split(delimiter)) {
			try {
				accessSync(join(folder, name), constants.X_OK);
				return join(folder, name);
			} catch {
				// the next folder
			}
		}
	throw new Error(`${names.join(' or ')} is not on PATH: ci/deps.sh --web installs it`);
}

// A browser without a screen, with a profile of its own under build/. The caller closes it.
export async function open_browser() {
	const { chromium } = require('playwright-core');
	const folder = join(WEB, 'tmp');

	mkdirSync(folder, { recursive: true });
	process.env.TMPDIR = folder;
	return chromium.launch({
		timeout: 60000,
		executablePath: program('chromium', 'chromium-browser', 'google-chrome'),
		env: { ...process.env, HOME: folder, TMPDIR: folder, XDG_CONFIG_HOME: folder, XDG_CACHE_HOME: join(WEB, 'cache') },
		// Root has no user namespace to put the sandbox into; the pages are our own.
		chromiumSandbox: process.getuid() !== 0,
		args: ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
			'--disable-component-update', '--disable-sync', '--hide-scrollbars'],
	});
}
