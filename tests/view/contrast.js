// Every text that is seen, and those of them with too little contrast to what is behind (WCAG 2, AA: 4.5 to 1).
() => {
  const luminance = (colour) => {
    const linear = (v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear(colour[0]) + 0.7152 * linear(colour[1]) + 0.0722 * linear(colour[2]);
  };
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const rgb = (text) => {
    if (!known.has(text)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = text;
      canvas.fillRect(0, 0, 1, 1);
      known.set(text, [...canvas.getImageData(0, 0, 1, 1).data]);
    }
    return known.get(text);
  };
  const ratio = (a, b) => {
    const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  };
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = rgb(getComputedStyle(node).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const cellOf = (text) => {
    let rect = text.previousElementSibling;
    while (rect && !rect.matches("rect.cell")) rect = rect.previousElementSibling;
    return rect;
  };
  const bad = [];
  let seen = 0;
  for (const node of document.querySelectorAll("body *")) {
    if (node.closest("script, style, noscript, title, .skip") || !node.getClientRects().length) continue;
    if (![...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim())) continue;
    seen++;
    const style = getComputedStyle(node);
    const drawn = node.namespaceURI.endsWith("svg");
    const fore = rgb(drawn ? style.fill : style.color);
    let back = behind(drawn ? node.ownerSVGElement.parentElement : node);
    if (drawn && !node.matches(".who")) back = rgb(getComputedStyle(cellOf(node)).fill);
    if (ratio(fore, back) < 4.5) bad.push(`${node.tagName} ${node.textContent.slice(0, 30)} ${ratio(fore, back).toFixed(2)}`);
  }
  return [seen, bad];
};
