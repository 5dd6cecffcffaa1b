// SPDX-License-Identifier: Apache-2.0
// Opens the pages of drsim in a browser and looks at them: node tests/web/check.mjs [FILE.html...]
// Without files it makes runs of its own. Environment: DRSIM, BUILD. Exit 1 when anything is found.
import { rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { broken_pages } from './broken.mjs';
import { inspect } from './inspect.mjs';
import { make_run, make_runs } from './runs.mjs';
import { open_browser, WEB } from './setting.mjs';
import { Tally } from './tally.mjs';

const WIDTHS = [400, 1024, 1600];
const ZOOMED = [320, 512, 800];
const THEMES = ['light', 'dark'];
const WORKERS = 2;
const LIMIT_S = 900; // of everything; past it something hangs

const say = (line) => process.stdout.write(`${line}\n`);

// Jobs take a blank page and are worked on in order by a few at a time.
async function work(browser, jobs) {
	const waiting = [...jobs];

	await Promise.all(Array.from({ length: WORKERS }, async () => {
		const blank = await browser.newPage();

		for (let job = waiting.shift(); job; job = waiting.shift())
			await job(blank);
		await blank.close();
	}));
}

// Each broken page has to be found by its check, and the sound one by none.
async function check_checks(browser, tally) {
	const shown = new Set(['run']);
	const jobs = broken_pages().map(({ what, check, how, theme, file }) => async (blank) => {
		const own = new Tally();
		const plan = { widths: how === 'look' ? [1024] : [], zoomed: how === 'zoom' ? [512] : [], print: how === 'print',
			only: check };

		for (const one of check ? [theme] : THEMES)
			await inspect(browser, blank, own, { name: `broken-${what}`, file }, one,
				check ? plan : { widths: WIDTHS, zoomed: ZOOMED, print: true });
		tally.saw('checks');
		if (check && own.of(check).length === 0)
			tally.finding('checks', what, `'${check}' does not find the defect`);
		for (const finding of check ? [] : own.found)
			tally.finding('checks', what, `${finding.check} finds: ${finding.where}: ${finding.what}`);
		shown.add(check);
	});
	const wrong = new Tally();

	make_run(wrong, { name: 'broken', scenario: 'gpu_loss', options: ['--no-plots'], exit: 5 });
	if (wrong.of('run').length === 0)
		tally.finding('checks', 'run', 'a wrong exit code is not found');
	await work(browser, jobs);
	for (const name of Object.keys(tally.seen))
		if (name !== 'checks' && !shown.has(name))
			tally.finding('checks', name, 'no broken page shows that it can fail');
}

function jobs_of(browser, tally, pages) {
	const plan = { widths: WIDTHS, zoomed: ZOOMED, print: true, shots: true };

	return pages.flatMap((page) => THEMES.map((theme) => (blank) =>
		inspect(browser, blank, tally, page, theme, plan).catch((error) =>
			tally.finding('errors', `${page.name} all ${theme}`, error.message.split('\n')[0]))));
}

// Of DIR/report.html the name of the run, of other pages their own.
function name_of(path) {
	const name = basename(path, '.html');

	return name === 'report' ? basename(dirname(path)) : name;
}

async function main(files) {
	const start = Date.now(), tally = new Tally();

	for (const folder of ['tmp', 'shots', 'pdf'])
		rmSync(join(WEB, folder), { recursive: true, force: true });
	const browser = await open_browser();

	try {
		await check_checks(browser, tally);
		const pages = files.length > 0
			? files.map((file) => ({ name: name_of(resolve(file)), file: resolve(file) }))
			: make_runs(tally, say);

		await work(browser, jobs_of(browser, tally, pages));
		say(`web: ${pages.length} pages (${pages.map((page) => page.name).join(', ')}) at ${WIDTHS.join(', ')} px, ` +
			`${THEMES.join(' and ')}, in ${((Date.now() - start) / 1000).toFixed(0)} s by ${browser.version()}`);
	} finally {
		await browser.close();
		rmSync(join(WEB, 'tmp'), { recursive: true, force: true });
	}
	return tally.print(say, files.length > 0);
}

const guard = setTimeout(() => {
	say(`web: not done after ${LIMIT_S} s`);
	process.exit(1);
}, LIMIT_S * 1000);

guard.unref();
process.exitCode = await main(process.argv.slice(2)) ? 0 : 1;
