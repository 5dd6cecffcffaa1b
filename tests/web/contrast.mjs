// SPDX-License-Identifier: Apache-2.0
// The contrast of labels in pictures, by the pixels behind them: axe-core does not look into pictures.

const LEAST = 4.5; // WCAG 2.2, 1.4.3, of text

// In the page: labels of the picture with that number: {text, fill, box} on the page, for a look at the pixels behind.
function labels_of(number) {
	const picture = [...document.querySelectorAll('svg')].filter((svg) => !svg.ownerSVGElement)[number];
	const frame = picture.getBoundingClientRect();

	return [...picture.querySelectorAll('text')].filter((label) => label.textContent.trim() &&
		label.checkVisibility({ opacityProperty: true, visibilityProperty: true })).map((label) => {
		const box = label.getBoundingClientRect();

		return { text: label.textContent.trim(), x: box.left - frame.left, y: box.top - frame.top,
			width: box.width, height: box.height,
			fill: getComputedStyle(label.querySelector('tspan') ?? label).fill };
	});
}

// In a blank page: the contrast (WCAG 2.2) of each label with the colour that most of its box has.
async function contrasts({ png, labels }) {
	const bytes = Uint8Array.from(atob(png), (c) => c.charCodeAt(0));
	const image = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
	const canvas = new OffscreenCanvas(image.width, image.height);
	const context = canvas.getContext('2d', { willReadFrequently: true });
	const linear = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
	const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);

	context.drawImage(image, 0, 0);
	return labels.map((label) => {
		const x = Math.max(0, Math.floor(label.x)), y = Math.max(0, Math.floor(label.y));
		const width = Math.min(image.width - x, Math.ceil(label.width));
		const height = Math.min(image.height - y, Math.ceil(label.height));

		/* Outside: another check says so. */
		if (width < 1 || height < 1)
			return { text: label.text, contrast: Infinity };
		const pixels = context.getImageData(x, y, width, height).data;
		const often = new Map();

		for (let i = 0; i < pixels.length; i += 4) {
			const key = (pixels[i] << 16) | (pixels[i + 1] << 8) | pixels[i + 2];

			often.set(key, (often.get(key) ?? 0) + 1);
		}
		const [behind] = [...often].reduce((most, one) => one[1] > most[1] ? one : most);
		const fill = label.fill.match(/[\d.]+/g)?.slice(0, 3).map(Number) ?? [0, 0, 0];
		const a = light(fill), b = light([behind >> 16, (behind >> 8) & 255, behind & 255]);

		return { text: label.text, contrast: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) };
	});
}

// `blank` is a page that may have a canvas.
export async function check_contrast(page, blank, tally, where, check = 'contrast') {
	const pictures = await page.locator('svg:not(svg svg)').all();

	for (const [number, picture] of pictures.entries()) {
		/* A picture in a box that scrolls is seen in part: a wider window has it whole. */
		if (!await picture.isVisible() || !await picture.evaluate((svg) =>
			svg.getBoundingClientRect().right <= document.documentElement.clientWidth + 1))
			continue;
		const png = (await picture.screenshot()).toString('base64');
		const labels = await page.evaluate(labels_of, number);

		tally.saw(check, labels.length);
		for (const label of await blank.evaluate(contrasts, { png, labels }))
			if (label.contrast < LEAST)
				tally.finding(check, where, `svg ${number} '${label.text.slice(0, 60)}': ` +
					`contrast ${label.contrast.toFixed(2)}, at least ${LEAST}`);
	}
}
