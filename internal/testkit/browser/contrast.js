// The texts of the page whose colour is too near to what they stand on.
(() => {
	const parts = (color) => color.match(/[\d.]+/g).map(Number);
	const luminance = ([r, g, b]) => {
		const [x, y, z] = [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
		return 0.2126 * x + 0.7152 * y + 0.0722 * z;
	};
	const dark = matchMedia("(prefers-color-scheme: dark)").matches;
	const ground = (e) => {
		for (; e; e = e.parentElement) {
			const color = parts(getComputedStyle(e).backgroundColor);
			if (color.length < 4 || color[3] > 0) return color;
		}
		return dark ? [18, 18, 18] : [255, 255, 255]; // Chromium's own
	};
	const faint = [];
	const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (texts.nextNode()) {
		const text = texts.currentNode.textContent.trim();
		if (!text) continue;
		const e = texts.currentNode.parentElement;
		const [a, b] = [luminance(parts(getComputedStyle(e).color)), luminance(ground(e))];
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (ratio < 4.5) faint.push(`${ratio.toFixed(1)}: ${text.slice(0, 60)}`);
	}
	return faint;
})()
