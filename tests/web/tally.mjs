// SPDX-License-Identifier: Apache-2.0
// Counts what each check looked at and what it found, and prints both.

const SHOWN = 12; // findings printed of one check; past it their number

export const CHECKS = {
	checks: 'each check finds its broken page, and nothing in a sound one',
	run: 'the runs end with the exit codes that their scenarios promise',
	errors: 'no error on the console, none in the page',
	requests: 'no request but the file itself',
	scroll: 'no page scrolls sideways',
	labels: 'no label of a picture overlaps another',
	clipped: 'no label of a picture is cut at its edge',
	wide: 'nor in a wider font',
	texts: 'no text stands over another',
	cut: 'no text is cut by its box',
	split: 'no word is broken in the middle',
	legible: 'no text is smaller than 9 px',
	theme: 'a light page is light, a dark one dark',
	contrast: 'labels of pictures stand out from what is behind them',
	named: 'pictures have names, tables headers, headings an order',
	axe: 'axe-core: nothing serious, nothing critical',
	tab: 'what can be focused is reached by Tab, and seen',
	script: 'without JavaScript the text is the same',
	print: 'in print nothing is wider than the paper or too pale for it',
	pdf: 'every text stands whole in the PDF',
	zoom: 'at 200 % and at 320 px: no sideways scrolling, nothing overlaps or is cut',
};

export class Tally {
	constructor() {
		this.seen = Object.fromEntries(Object.keys(CHECKS).map((name) => [name, 0]));
		this.found = [];
	}

	// `check` looked at `count` things more.
	saw(check, count = 1) {
		if (!(check in this.seen))
			throw new Error(`no check is called '${check}'`);
		this.seen[check] += count;
	}

	// `where` names page, width and theme; `what` the element and its text.
	finding(check, where, what) {
		this.saw(check, 0);
		this.found.push({ check, where, what });
	}

	of(check) {
		return this.found.filter((finding) => finding.check === check);
	}

	// One line for what is the same in several widths and themes of a page.
	grouped(check) {
		const groups = new Map();

		for (const { where, what } of this.of(check)) {
			const [page, ...rest] = where.split(' ');
			const key = `${page}: ${what}`;

			if (!groups.has(key))
				groups.set(key, { page, what, where: new Set() });
			groups.get(key).where.add(rest.join(' '));
		}
		return [...groups.values()].map(({ page, what, where }) => {
			const [first, second, ...more] = where;

			return `${page} (${first}${second ? `; ${second}` : ''}${more.length > 0 ? `; and ${more.length} more` : ''}): ${what}`;
		});
	}

	// Returns whether all is well. A check that had nothing to look at has passed only with `some`: pages that were chosen.
	print(out, some) {
		let failed = 0;

		for (const [name, means] of Object.entries(CHECKS)) {
			const found = this.grouped(name);
			const bad = found.length > 0 || this.seen[name] === 0 && !some;

			failed += bad ? 1 : 0;
			out(`${bad ? 'FAIL' : 'ok  '}  ${name.padEnd(9)} ${means}: ` +
				`${this.seen[name]} looked at, ${this.of(name).length} found`);
			for (const line of found.slice(0, SHOWN))
				out(`      ${line}`);
			if (found.length > SHOWN)
				out(`      and ${found.length - SHOWN} more lines`);
		}
		out(`${Object.keys(CHECKS).length - failed} passed, ${failed} failed`);
		return failed === 0;
	}
}
