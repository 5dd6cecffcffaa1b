// SPDX-License-Identifier: Apache-2.0
// Pages with one defect each, and which check has to find it: a check that cannot fail shows nothing.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WEB } from './setting.mjs';

const picture = (inside) => `<svg role="img" aria-label="A picture" viewBox="0 0 300 100" width="300" height="100" ` +
	`font-size="13" fill="#222">${inside}</svg>`;

// what: the name of the file. Checks without `how` are done as on any page.
const BROKEN = [
	{ what: 'console', check: 'errors', body: '<script>console.error("broken")</script>' },
	{ what: 'exception', check: 'errors', body: '<script>throw new Error("broken")</script>' },
	{ what: 'request', check: 'requests', body: '<img alt="" src="elsewhere.png">' },
	{ what: 'wide', check: 'scroll', body: '<div style="width:2000px">wide</div>' },
	{ what: 'labels', check: 'labels', body: picture('<text x="10" y="40">one label</text><text x="40" y="44">another</text>') },
	{ what: 'labels_turned', check: 'labels', body: picture('<text transform="translate(100 90) rotate(-45)">one label</text>' +
		'<text x="90" y="70">another</text>') },
	{ what: 'label_outside', check: 'clipped', body: picture('<text x="270" y="40">outside</text>') },
	{ what: 'wide_font', check: 'wide', body: picture('<g font-family="Liberation Sans" text-anchor="end">' +
		'<text x="295" y="40">a label that just fits its place</text><text x="118" y="40">its left</text></g>') },
	{ what: 'texts', check: 'texts', body: '<p>One text.</p><p style="margin-top:-1.8em">Another text.</p>' },
	{ what: 'cut', check: 'cut', body: '<div style="overflow:hidden;width:60px;white-space:nowrap">cut by its box</div>' },
	{ what: 'split', check: 'split', body: '<p style="width:60px;overflow-wrap:anywhere">narrowness</p>' },
	{ what: 'small', check: 'legible', body: '<p style="font-size:7px">small</p>' },
	{ what: 'small_label', check: 'legible', body: '<svg role="img" aria-label="A picture" viewBox="0 0 3000 100" width="300">' +
		'<text x="10" y="50" font-size="13">small</text></svg>' },
	{ what: 'always_light', check: 'theme', theme: 'dark', body: '<style>body{background:#fff!important;color:#222!important}</style>' },
	{ what: 'pale_label', check: 'contrast', body: picture('<text x="10" y="40" fill="#ccc">pale</text>') },
	{ what: 'nameless', check: 'named', body: '<svg width="30" height="30"><circle r="9"/></svg>' },
	{ what: 'headless', check: 'named', body: '<table><tr><td>1</td></tr></table>' },
	{ what: 'heading', check: 'named', body: '<h4>Too deep</h4>' },
	{ what: 'axe', check: 'axe', body: '<button></button>' },
	{ what: 'axe_dark', check: 'axe', theme: 'dark',
		body: '<style>@media(prefers-color-scheme:dark){p{color:#444}}</style><p>dark on dark</p>' },
	{ what: 'ring', check: 'tab', body: '<a href="#" style="outline:none">no ring</a>' },
	{ what: 'far', check: 'tab', body: '<a href="#" style="position:fixed;left:-999px">far</a>' },
	{ what: 'trap', check: 'tab', body: '<button>a trap</button><script>document.addEventListener("keydown", (e) => ' +
		'document.activeElement.localName === "button" && e.preventDefault())</script><a href="#">behind</a>' },
	{ what: 'written', check: 'script', body: '<p id="p">one</p><script>document.getElementById("p").textContent = "two"</script>' },
	{ what: 'wide_print', check: 'print', how: 'print',
		body: '<style>@media print{#p{width:1200px}}</style><p id="p">wide on paper</p>' },
	{ what: 'pale_print', check: 'print', how: 'print', theme: 'dark',
		body: '<style>@media(prefers-color-scheme:dark){p{color:#eee!important}}</style><p>pale on paper</p>' },
	{ what: 'high_print', check: 'print', how: 'print', body: '<figure style="height:1300px">high</figure>' },
	{ what: 'over_edge', check: 'pdf', how: 'print',
		body: '<style>@media print{#p{position:absolute;left:-20mm}}</style><p id="p">over the edge of the sheet</p>' },
	{ what: 'empty_sheet', check: 'pdf', how: 'print', body: '<p style="height:250mm">a sheet</p><p style="height:200mm;break-before:page"></p>' },
	{ what: 'zoomed', check: 'zoom', how: 'zoom', body: '<div style="width:700px">fits a wide window only</div>' },
];

const SOUND = '<p>A text.</p><p><a href="#top">A link.</a></p>' +
	picture('<text x="10" y="40">one label</text><text x="10" y="60">another</text><text transform="translate(200 90) rotate(-45)">turned</text>') +
	'<table><thead><tr><th>Head</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table>' +
	'<details><summary>More</summary><p>Opened.</p></details><div style="overflow-x:auto" tabindex="0" role="region" aria-label="Wide">' +
	'<div style="width:2000px">scrolls in its box</div></div>';

const page = (body) => '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">' +
	'<meta name="viewport" content="width=device-width,initial-scale=1"><title>A page</title><style>' +
	':root{color-scheme:light dark;--ink:#222;--back:#fff;--link:#0645ad}' +
	'@media screen and (prefers-color-scheme:dark){:root{--ink:#ddd;--back:#16181c;--link:#8ab4f8}}' +
	'body{font:15px/1.5 sans-serif;color:var(--ink);background:var(--back)}a{color:var(--link)}svg{background:#fff}' +
	'@media print{:root{color-scheme:light}}' +
	`</style></head><body><main id="top"><h1>A page</h1>${body}</main></body></html>\n`;

// Writes the pages and returns them: {what, check, how, theme, file}; the sound one has no check.
export function broken_pages() {
	const folder = join(WEB, 'broken');

	mkdirSync(folder, { recursive: true });
	return [...BROKEN, { what: 'sound', check: null, body: SOUND }].map(({ what, check, how = 'look', theme = 'light', body }) => {
		const file = join(folder, `${what}.html`);

		writeFileSync(file, page(body));
		return { what, check, how, theme, file };
	});
}
