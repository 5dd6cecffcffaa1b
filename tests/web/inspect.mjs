// SPDX-License-Identifier: Apache-2.0
// Looks at one page in one width and one theme; every finding goes to the tally.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { check_contrast } from './contrast.mjs';
import { check_print } from './print.mjs';
import { AXE, WEB } from './setting.mjs';
import { focused, look, mark_focusable, not_reached } from './look.mjs';

const TABS_MAX = 2000; // pressed on one page
const HEIGHT = 900;
const SHOT_HEIGHT = 12000; // pixels

// A page in a context of its own. `visit(page, open, said, asked)` looks at it: open(width) loads it anew in that width.
async function with_page(browser, file, theme, script, visit) {
	const context = await browser.newContext({ colorScheme: theme, javaScriptEnabled: script, reducedMotion: 'reduce' });

	try {
		const page = await context.newPage();
		const said = [], asked = [], url = pathToFileURL(file).href;

		page.on('console', (message) => ['error', 'warning'].includes(message.type()) && said.push(message.text()));
		page.on('pageerror', (error) => said.push(String(error)));
		page.on('request', (request) => request.url() !== url && asked.push(request.url()));
		await visit(page, async (width) => {
			await page.setViewportSize({ width, height: HEIGHT });
			await page.goto(url, { waitUntil: 'load' });
		}, said, asked);
	} finally {
		await context.close();
	}
}

async function check_layout(page, tally, where, check = null) {
	const { findings, counts } = await page.evaluate(look, {});

	for (const [name, count] of Object.entries(counts))
		tally.saw(check ?? name, count);
	for (const finding of findings)
		if (!check || !['named', 'split'].includes(finding.check))
			tally.finding(check ?? finding.check, where, finding.what);
}

// The page's own colours, not only the browser's, follow the theme.
async function check_theme(page, tally, where, theme) {
	const light = await page.evaluate(() => {
		const behind = (at) => {
			const colour = getComputedStyle(at).backgroundColor.match(/[\d.]+/g).map(Number);

			return (colour[3] ?? 1) > 0 ? colour : at.parentElement ? behind(at.parentElement) : [255, 255, 255];
		};
		const [r, g, b] = behind(document.querySelector('h1') ?? document.body);

		return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
	});

	tally.saw('theme');
	if (theme === 'dark' ? light > 0.25 : light < 0.75)
		tally.finding('theme', where, `behind the title the page is ${(light * 100).toFixed(0)} % light`);
}

async function open_details(page) {
	return page.evaluate(() => {
		const closed = document.querySelectorAll('details:not([open])');

		for (const details of closed)
			details.open = true;
		return closed.length;
	});
}

async function check_axe(page, tally, where) {
	await page.evaluate(AXE);
	const { rules, found } = await page.evaluate(async () => {
		const result = await window.axe.run(document, { preload: false, resultTypes: ['violations'] });
		const grave = result.violations.filter((rule) => ['serious', 'critical'].includes(rule.impact));

		return {
			rules: result.passes.length + result.violations.length,
			found: grave.flatMap((rule) => rule.nodes.map((node) => `${rule.impact} ${rule.id}: ` +
				`${node.target.join(' ')}: ${node.failureSummary.replace(/\s+/g, ' ')}`)),
		};
	});

	tally.saw('axe', rules);
	for (const what of found)
		tally.finding('axe', where, what);
}

// Readers have other fonts: labels must hold in a wider one too.
async function check_wide(page, tally, where) {
	await page.addStyleTag({ content: 'svg text, svg tspan { font-family: "DejaVu Sans", Verdana, sans-serif !important }' });
	const { findings, counts } = await page.evaluate(look, {});

	tally.saw('wide', counts.labels);
	for (const finding of findings)
		if (['labels', 'clipped'].includes(finding.check))
			tally.finding('wide', where, finding.what);
}

async function check_tab(page, tally, where) {
	const count = await page.evaluate(mark_focusable);

	tally.saw('tab');
	for (let i = 0; i < Math.min(TABS_MAX, count * 2 + 50); i++) {
		await page.keyboard.press('Tab');
		const now = await page.evaluate(focused);

		if (!now)
			break;
		tally.saw('tab');
		if (now.problem)
			tally.finding('tab', where, `${now.what} ${now.problem}`);
	}
	for (const what of await page.evaluate(not_reached))
		tally.finding('tab', where, `${what} is not reached`);
}

const text_of = (page) => page.evaluate(() => document.body.innerText.replace(/\s+/g, ' ').trim());

// Where two texts part, with a little of what follows.
function difference(a, b) {
	let at = 0;

	while (at < Math.min(a.length, b.length) && a[at] === b[at])
		at++;
	return `with '${a.slice(at, at + 40)}', without '${b.slice(at, at + 40)}'`;
}

// From the top; a browser has no pictures of any height.
async function take_shot(page, path) {
	const clip = await page.evaluate((most) => ({ x: 0, y: 0, width: document.documentElement.clientWidth,
		height: Math.min(most, document.documentElement.scrollHeight) }), SHOT_HEIGHT);

	await page.screenshot({ path, fullPage: true, clip, type: 'jpeg', quality: 90 });
}

async function inspect_width(page, blank, tally, where, plan, path) {
	const wants = (check) => !plan.only || plan.only === check;

	await check_layout(page, tally, where);
	await check_theme(page, tally, where, where.split(' ').at(-1));
	if (path)
		await take_shot(page, path);
	if (wants('tab'))
		await check_tab(page, tally, where);
	if (wants('contrast'))
		await check_contrast(page, blank, tally, where);
	if (await open_details(page))
		await check_layout(page, tally, `${where}, all opened`);
	if (wants('axe'))
		await check_axe(page, tally, where);
	if (wants('wide'))
		await check_wide(page, tally, where);
}

// Half the window is 200 % zoom. Nobody zooms a telephone to 200 px, but 320 px must do (WCAG 2.2, 1.4.10).
async function inspect_zoomed(page, tally, where) {
	await check_layout(page, tally, where, 'zoom');
	if (await open_details(page))
		await check_layout(page, tally, `${where}, all opened`, 'zoom');
}

// One page in one theme. plan: {widths, zoomed: widths, print, shots,
// only: of the checks that take long this one}; `blank` is a page that may have a canvas.
export async function inspect(browser, blank, tally, { name, file }, theme, plan) {
	const texts = new Map();

	await with_page(browser, file, theme, true, async (page, open, said, asked) => {
		for (const width of plan.widths) {
			const where = `${name} ${width} ${theme}`;

			await open(width);
			texts.set(width, await text_of(page));
			tally.saw('errors');
			tally.saw('requests');
			await inspect_width(page, blank, tally, where, plan,
				plan.shots ? join(WEB, 'shots', `${name}-${width}-${theme}.jpg`) : null);
			for (const line of said.splice(0))
				tally.finding('errors', where, line);
			for (const url of asked.splice(0))
				tally.finding('requests', where, url);
		}
		for (const width of plan.zoomed) {
			await open(width);
			await inspect_zoomed(page, tally, `${name} ${width} zoomed ${theme}`);
		}
		if (plan.print) {
			await open(1024);
			await check_print(page, blank, tally, name, theme);
		}
	});
	await with_page(browser, file, theme, false, async (page, open) => {
		for (const [width, text] of texts) {
			const where = `${name} ${width} ${theme}`;

			await open(width);
			const without = await text_of(page);

			tally.saw('script');
			if (without !== text)
				tally.finding('script', where, difference(text, without));
			if (without.length < 20)
				tally.finding('script', where, 'there is no text');
		}
	});
}
