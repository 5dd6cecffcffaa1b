// SPDX-License-Identifier: Apache-2.0
// What is looked at inside a page. These functions run in the browser: each stands on its own.

// The layout: { findings: [{check, what}], counts: {check: number} }, of paper without size and names.
export function look({ print = false } = {}) {
	const NEAR = 1; // pixels that boxes may share: they are rounded, ink ends inside them
	const LONG = 24; // letters; a longer word may be broken anywhere
	const SMALL = 9; // pixels; smaller letters are not read
	const findings = [];
	const counts = { scroll: 1, labels: 0, clipped: 0, texts: 0, cut: 0, legible: 0, split: 0, named: 0 };
	const root = document.documentElement;
	const quote = (text) => `'${text.trim().replace(/\s+/g, ' ').slice(0, 60)}'`;
	const say = (check, what) => findings.push({ check, what });

	function place(element) {
		const parts = [];

		for (let at = element; at && at !== document.body && parts.length < 3; at = at.parentElement) {
			const name = typeof at.className === 'string' ? at.className : at.className.baseVal;

			parts.unshift(at.localName + (at.id ? `#${at.id}` : '') +
				(name ? `.${name.trim().split(/\s+/)[0]}` : ''));
		}
		return parts.join('>');
	}

	function shown(element) {
		return element.checkVisibility({ contentVisibilityAuto: true, opacityProperty: true,
			visibilityProperty: true });
	}

	// Corners, clockwise, of a box without `near` at each side.
	function corners(box, near) {
		const [x0, y0, x1, y1] = [box.left + near, box.top + near, box.right - near, box.bottom - near];

		return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
	}

	function bounds(quad) {
		const xs = quad.map((p) => p[0]), ys = quad.map((p) => p[1]);

		return { left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys),
			bottom: Math.max(...ys) };
	}

	// Do two convex shapes meet? No line along a side of one may separate them.
	function meet(a, b) {
		for (const shape of [a, b])
			for (let i = 0; i < shape.length; i++) {
				const [x0, y0] = shape[i], [x1, y1] = shape[(i + 1) % shape.length];
				const along = (p) => (p[0] - x0) * (y1 - y0) - (p[1] - y0) * (x1 - x0);
				const as = a.map(along), bs = b.map(along);

				if (Math.max(...as) <= Math.min(...bs) || Math.max(...bs) <= Math.min(...as))
					return false;
			}
		return true;
	}

	// What the boxes around an element leave of a rectangle on the screen; null when nothing.
	function visible_part(element, rect) {
		const part = { left: rect.left, right: rect.right, top: rect.top, bottom: rect.bottom, cut: null };

		for (let at = element; at && at !== root; at = at.parentElement) {
			const style = getComputedStyle(at);
			const box = at.getBoundingClientRect();

			if (style.clipPath.startsWith('inset(50%') || style.clip === 'rect(0px, 0px, 0px, 0px)')
				return null;
			const clips = at !== document.body && !(at instanceof SVGElement) && style.display !== 'inline' &&
				(style.overflowX !== 'visible' || style.overflowY !== 'visible');

			if (!clips)
				continue;
			/* A box of a pixel hides a text from eyes and keeps it for screen readers. */
			if (box.width <= 2 || box.height <= 2)
				return null;
			const fixed = (way) => way === 'hidden' || way === 'clip';

			if (fixed(style.overflowX) && (part.left < box.left - NEAR || part.right > box.right + NEAR) ||
				fixed(style.overflowY) && (part.top < box.top - NEAR || part.bottom > box.bottom + NEAR))
				part.cut = at;
			part.left = Math.max(part.left, box.left);
			part.right = Math.min(part.right, box.right);
			part.top = Math.max(part.top, box.top);
			part.bottom = Math.min(part.bottom, box.bottom);
			if (part.right - part.left <= NEAR || part.bottom - part.top <= NEAR)
				return part.cut ? part : null;
		}
		return part;
	}

	// Every line of every text outside pictures: {text, element, node, quad, box}.
	function html_texts() {
		const texts = [];
		const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
		const range = document.createRange();

		for (let node = walker.nextNode(); node; node = walker.nextNode()) {
			const element = node.parentElement;

			if (!node.data.trim() || element.closest('svg, script, style, noscript, template') ||
				!shown(element))
				continue;
			range.selectNodeContents(node);
			const rects = [...range.getClientRects()];

			for (const rect of rects) {
				const part = rect.width > 0 ? visible_part(element, rect) : null;

				if (!part || rect.right <= 0)
					continue;
				counts.cut++;
				if (part.cut)
					say('cut', `${place(element)} ${quote(node.data)} is cut by ${place(part.cut)}`);
				else if (rect.left < -NEAR)
					say('cut', `${place(element)} ${quote(node.data)} begins left of the page`);
				/* The box of a line is higher than its letters. */
				const slack = rect.height * 0.12;
				const box = { left: part.left, right: part.right, top: part.top + slack,
					bottom: part.bottom - slack };

				if (box.right > box.left && box.bottom > box.top)
					texts.push({ text: node.data, element, node, box, quad: corners(box, NEAR / 2) });
			}
			if (rects.length > 1 && !element.closest('pre') && visible_part(element, rects[0]))
				broken_words(node, range);
			const size = parseFloat(getComputedStyle(element).fontSize);

			counts.legible++;
			if (size < SMALL && !print)
				say('legible', `${place(element)} ${quote(node.data)}: ${size.toFixed(1)} px`);
		}
		return texts;
	}

	// Words of a text of several lines that begin on one and end on another, without a place to break at.
	function broken_words(node, range) {
		for (const { 0: word, index } of node.data.matchAll(/[\p{L}\p{N}_]{2,}/gu)) {
			range.setStart(node, index);
			range.setEnd(node, index + word.length);
			const tops = new Set([...range.getClientRects()].map((rect) => Math.round(rect.top)));

			counts.split++;
			if (tops.size > 1 && word.length <= LONG)
				say('split', `${place(node.parentElement)} ${quote(node.data)}: '${word}' is broken`);
		}
	}

	// Every label of every picture, turned as it stands.
	function svg_texts() {
		const texts = [], small = new Map();

		for (const element of document.querySelectorAll('svg text')) {
			const own = element.getBBox(), matrix = element.getScreenCTM();

			if (!element.textContent.trim() || !shown(element) || own.width === 0)
				continue;
			const scale = Math.sqrt(Math.abs(matrix.a * matrix.d - matrix.b * matrix.c));
			const near = NEAR * Math.min(1, scale);
			const whole = corners({ left: own.x, top: own.y, right: own.x + own.width,
				bottom: own.y + own.height }, 0);
			const inner = corners({ left: own.x, top: own.y, right: own.x + own.width,
				bottom: own.y + own.height }, near / 2 / scale);
			const onto = ([x, y]) => [matrix.a * x + matrix.c * y + matrix.e,
				matrix.b * x + matrix.d * y + matrix.f];
			let picture = element.ownerSVGElement;

			while (picture.ownerSVGElement)
				picture = picture.ownerSVGElement;
			const box = bounds(whole.map(onto)), frame = picture.getBoundingClientRect();
			const out = Math.max(frame.left - box.left, box.right - frame.right, frame.top - box.top,
				box.bottom - frame.bottom);

			counts.clipped++;
			if (out > NEAR)
				say('clipped', `${place(element)} ${quote(element.textContent)} is ${out.toFixed(1)} px ` +
					`outside ${place(picture)}`);
			const size = parseFloat(getComputedStyle(element.querySelector('tspan') ?? element).fontSize) * scale;

			counts.legible++;
			if (size < SMALL)
				small.set(picture, [...(small.get(picture) ?? []), { element, size }]);
			/* What a box that scrolls hides is behind nothing. */
			if (visible_part(picture.parentElement, box))
				texts.push({ text: element.textContent, element, node: element, picture,
					box: bounds(inner.map(onto)), quad: inner.map(onto) });
		}
		for (const [picture, [{ element, size }, ...more]] of print ? [] : small)
			say('legible', `${place(picture)} ${quote(name_of(picture))}: ${size.toFixed(1)} px: ` +
				`${quote(element.textContent)} and ${more.length} more`);
		return texts;
	}

	function overlaps(texts) {
		texts.sort((a, b) => a.box.top - b.box.top);
		for (let i = 0; i < texts.length; i++) {
			const a = texts[i];

			counts[a.picture ? 'labels' : 'texts']++;
			for (let j = i + 1; j < texts.length && texts[j].box.top < a.box.bottom; j++) {
				const b = texts[j];

				if (a.node === b.node || a.box.right <= b.box.left || b.box.right <= a.box.left ||
					!meet(a.quad, b.quad))
					continue;
				say(a.picture && a.picture === b.picture ? 'labels' : 'texts',
					`${place(a.element)} ${quote(a.text)} and ${place(b.element)} ${quote(b.text)} overlap`);
			}
		}
	}

	function scrolls() {
		const width = root.clientWidth + (print ? 1 : 0); // paper has no whole pixels

		if (root.scrollWidth <= width && document.body.scrollWidth <= Math.max(width, document.body.clientWidth))
			return;
		const far = [...document.body.querySelectorAll('*')].filter((element) => {
			const box = element.getBoundingClientRect();

			return box.right > width + NEAR && box.width > 0 && shown(element) &&
				![...element.children].some((child) => child.getBoundingClientRect().right > width + NEAR);
		});
		const seen = far.filter((element) =>
			(visible_part(element.parentElement, element.getBoundingClientRect())?.right ?? 0) > width + NEAR);
		/* What is hidden widens a page, too, when no box around it is its containing block. */
		const wide = seen.length > 0 ? seen : far.filter((element) => getComputedStyle(element).position === 'absolute');

		say('scroll', `the page is ${root.scrollWidth} px wide in a window of ${width} px: ` +
			(wide.slice(0, 3).map((element) => `${place(element)} ${quote(element.textContent)}`).join(', ') ||
			'no single element'));
	}

	function name_of(picture) {
		const labelled = picture.getAttribute('aria-labelledby');
		const title = [...picture.children].find((child) => child.localName === 'title');

		if (labelled)
			return labelled.split(/\s+/).map((id) => document.getElementById(id)?.textContent ?? '').join('');
		return picture.getAttribute('aria-label') ?? title?.textContent ?? '';
	}

	function names() {
		let level = 0;

		for (const picture of document.querySelectorAll('svg, img')) {
			if (picture.parentElement.closest('svg') || !shown(picture) || picture.closest('[aria-hidden=true]'))
				continue;
			counts.named++;
			if (picture.localName === 'img' ? !picture.hasAttribute('alt')
				: !(picture.getAttribute('role') === 'img' && name_of(picture).trim()))
				say('named', `${place(picture)} has no role img with a name`);
		}
		for (const table of document.querySelectorAll('table')) {
			counts.named++;
			if (!table.querySelector('th'))
				say('named', `${place(table)} ${quote(table.textContent)} has no header cell`);
		}
		for (const heading of document.querySelectorAll('h1, h2, h3, h4, h5, h6')) {
			const now = Number(heading.localName[1]);

			counts.named++;
			if (now > level + 1)
				say('named', `${heading.localName} ${quote(heading.textContent)} follows an h${level}`);
			level = now;
		}
		if (document.querySelectorAll('h1').length !== 1)
			say('named', `${document.querySelectorAll('h1').length} headings of level 1`);
		if (!document.title.trim() || !root.lang)
			say('named', 'the page has no title or no language');
	}

	scrolls();
	overlaps([...html_texts(), ...svg_texts()]);
	if (!print)
		names();
	return { findings, counts };
}

// Keeps all that can be focused in window.drsim_focus and returns how many there are.
export function mark_focusable() {
	const selector = 'a[href], area[href], button, input, select, textarea, summary, [tabindex], [contenteditable]';

	window.drsim_ring = (element) => {
		const style = getComputedStyle(element);
		const outline = style.outlineStyle === 'none' || parseFloat(style.outlineWidth) === 0 ? 'none'
			: `${style.outlineStyle} ${style.outlineWidth} ${style.outlineColor}`;

		return [outline, style.boxShadow, style.borderColor, style.backgroundColor].join(' ');
	};
	window.drsim_focus = [...document.querySelectorAll(selector)].filter((element) =>
		element.tabIndex >= 0 && !element.disabled && element.checkVisibility({ visibilityProperty: true }))
		.map((element) => ({ element, ring: window.drsim_ring(element), reached: false }));
	return window.drsim_focus.length;
}

// What has the focus now: null at the end, else {what, problem}.
export function focused() {
	const element = document.activeElement;

	if (!element || element === document.body || element === document.documentElement)
		return null;
	const known = window.drsim_focus.find((one) => one.element === element);
	const box = [...element.getClientRects()].find((rect) => rect.width > 0 && rect.height > 0);
	const what = `${element.localName} '${(element.getAttribute('aria-label') ?? element.textContent).trim().slice(0, 40)}'`;

	if (known?.reached)
		return null;
	if (known)
		known.reached = true;
	if (!box || box.bottom <= 0 || box.top >= innerHeight || box.right <= 0 || box.left >= innerWidth)
		return { what, problem: 'has the focus out of sight' };
	const x = Math.min(Math.max(box.left + box.width / 2, 1), innerWidth - 1);
	const y = Math.min(Math.max(box.top + Math.min(box.height, innerHeight) / 2, 1), innerHeight - 1);
	const top = document.elementFromPoint(x, y);

	if (top && !element.contains(top) && !top.contains(element))
		return { what, problem: `has the focus under ${top.localName}` };
	if (window.drsim_ring(element) === (known?.ring ?? '') || window.drsim_ring(element).startsWith('none none'))
		return { what, problem: 'does not show that it has the focus' };
	return { what, problem: null };
}

export function not_reached() {
	return window.drsim_focus.filter((one) => !one.reached).map((one) =>
		`${one.element.localName} '${one.element.textContent.trim().slice(0, 40)}'`);
}

// Texts as they stand, in words that a PDF has too; for paper also those too pale to read on white.
export function paper() {
	const linear = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
	const texts = [], pale = [];
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);

	// Browsers print no background unless a style insists.
	function behind(element) {
		for (let at = element; at; at = at.parentElement) {
			const style = getComputedStyle(at), colour = style.backgroundColor.match(/[\d.]+/g)?.map(Number);

			if (style.printColorAdjust === 'exact' && colour && (colour[3] ?? 1) > 0.5)
				return colour;
		}
		return [255, 255, 255];
	}
	const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);

	// For screen readers only: in a box of a pixel.
	function unseen(element) {
		for (let at = element; at; at = at.parentElement) {
			const style = getComputedStyle(at), box = at.getBoundingClientRect();

			if (style.overflowX !== 'visible' && style.display !== 'inline' && (box.width <= 2 || box.height <= 2))
				return true;
		}
		return false;
	}

	for (let node = walker.nextNode(); node; node = walker.nextNode()) {
		const element = node.parentElement, picture = element.closest('svg');

		if (!node.data.trim() || element.closest('script, style, noscript, template') ||
			picture && !element.closest('text') || element.closest('svg title, svg desc') ||
			!element.checkVisibility({ contentVisibilityAuto: true, opacityProperty: true, visibilityProperty: true }))
			continue;
		if (unseen(element))
			continue;
		texts.push(node.data);
		if (picture)
			continue;
		const ink = light(getComputedStyle(element).color.match(/[\d.]+/g).map(Number));
		const ground = light(behind(element));

		if ((Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05) < 3)
			pale.push(`${element.localName} '${node.data.trim().slice(0, 60)}'`);
	}
	return { texts, pale };
}
