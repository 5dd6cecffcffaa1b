// SPDX-License-Identifier: Apache-2.0
// A page on A4: what the layout says in print, and what the text of the PDF says.
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { check_contrast } from './contrast.mjs';
import { look, paper } from './look.mjs';
import { program, WEB } from './setting.mjs';

const MARGIN_MM = 12;
const PX_PER_MM = 96 / 25.4;
const pixels = (mm) => Math.round((mm - 2 * MARGIN_MM) * PX_PER_MM);
const INNER = { width: pixels(210), height: pixels(297) };
const PARAGRAPH = 80; // letters; shorter texts stay on one sheet
const PT_NEAR = 1.5; // points that a letter may reach over an edge

// Without white space, for comparison: a PDF has line ends where a page has none.
const packed = (text) => text.normalize('NFKC').replace(/[\s\u00ad\u200b]+/g, '').toLowerCase();

function times(text, part) {
	let count = 0;

	for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length))
		count++;
	return count;
}

function pdftotext(pdf, ...options) {
	return execFileSync(program('pdftotext'), [...options, pdf, '-'], { encoding: 'utf8', maxBuffer: 1 << 28,
		timeout: 60000, stdio: ['ignore', 'pipe', 'ignore'] });
}

// A paragraph may begin on one sheet and end on the next, with other things of the sheet in between.
function stands_in_two(all, text, count) {
	let length = text.length - 1;

	while (length > 0 && times(all, text.slice(0, length)) < count)
		length--;
	return text.length > PARAGRAPH && length > 0 && times(all, text.slice(length)) >= count;
}

// Every text of the page stands in the PDF, as often as in the page.
function check_texts(pdf, texts, tally, where) {
	const all = packed(pdftotext(pdf, '-raw', '-nopgbrk'));
	const wanted = new Map();

	for (const text of texts)
		wanted.set(packed(text), (wanted.get(packed(text)) ?? 0) + 1);
	for (const [text, count] of wanted) {
		tally.saw('pdf');
		if (times(all, text) < count && !stands_in_two(all, text, count))
			tally.finding('pdf', where, `'${text.slice(0, 60)}' stands there ${times(all, text)} times, not ${count}`);
	}
}

// No word reaches over an edge of its sheet, and no sheet is empty.
function check_words(pdf, tally, where) {
	const sheets = [];

	for (const line of pdftotext(pdf, '-bbox').split('\n')) {
		const size = line.match(/<page width="([\d.]+)" height="([\d.]+)"/);
		const word = line.match(/<word xMin="(-?[\d.]+)" yMin="(-?[\d.]+)" xMax="(-?[\d.]+)" yMax="(-?[\d.]+)">(.*)<\/word>/);

		if (size)
			sheets.push({ width: Number(size[1]), height: Number(size[2]), words: 0 });
		if (!word)
			continue;
		const [x0, y0, x1, y1] = word.slice(1, 5).map(Number), sheet = sheets.at(-1);

		sheet.words++;
		tally.saw('pdf');
		if (x0 < -PT_NEAR || y0 < -PT_NEAR || x1 > sheet.width + PT_NEAR || y1 > sheet.height + PT_NEAR)
			tally.finding('pdf', where, `'${word[5]}' reaches over the edge of sheet ${sheets.length}`);
	}
	for (const [index, sheet] of sheets.entries())
		if (sheet.words === 0)
			tally.finding('pdf', where, `sheet ${index + 1} of ${sheets.length} is empty`);
}

export async function check_print(page, blank, tally, name, theme) {
	const where = `${name} A4 ${theme}`;
	const pdf = join(WEB, 'pdf', `${name}-${theme}.pdf`);
	const side = `${MARGIN_MM}mm`;

	await page.emulateMedia({ media: 'print', colorScheme: theme });
	await page.setViewportSize(INNER);
	const { findings, counts } = await page.evaluate(look, { print: true });
	const { texts, pale } = await page.evaluate(paper);

	tally.saw('print', counts.texts + counts.labels + counts.scroll);
	for (const finding of findings)
		tally.finding('print', where, finding.what);
	for (const what of pale)
		tally.finding('print', where, `${what} is too pale for white paper`);
	const high = await page.evaluate((height) => [...document.querySelectorAll('svg:not(svg svg), figure')]
		.filter((box) => box.getBoundingClientRect().height > height).map((box) => box.localName), INNER.height);
	for (const what of high)
		tally.finding('print', where, `a ${what} is higher than a sheet`);
	mkdirSync(join(WEB, 'pdf'), { recursive: true });
	await page.pdf({ path: pdf, format: 'A4', margin: { top: side, bottom: side, left: side, right: side } });
	check_texts(pdf, texts, tally, where);
	check_words(pdf, tally, where);
	/* Pictures are printed as they are, on paper instead of the page's background. */
	await page.addStyleTag({ content: 'html,body,main,section,figure,div{background:#fff!important}' });
	await check_contrast(page, blank, tally, where, 'print');
}
