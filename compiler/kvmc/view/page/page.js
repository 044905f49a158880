"use strict";
// Draws one host at a time from the data beside it. Every name goes in as text, never as markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const SVG = "http://www.w3.org/2000/svg";
  const CELL = 26, HIGH = 18, HEAD = 16, GAP = 3, ROW = 16;
  const byId = (id) => document.getElementById(id);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let current = 0, asTable = false, chosen = null;

  const make = (name, attributes, ...children) => {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  };
  const draw = (name, attributes, text) => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const counted = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;
  // data.marked: some guest was there before; where all are new, a mark on each would say nothing.
  const guestOf = (owner) => (owner < 0 ? null : data.guests[owner >> 2]);
  const useOf = (owner) => (owner < 0 ? data.uses[-owner - 1] : data.owned[owner & 3]);

  // Hues are far apart for guests side by side; lightness keeps the text at AA in both schemes.
  const fill = (owner, order) => {
    if (owner < 0) return `var(--${["host", "shared", "vswitch", "spare", "unused"][-owner - 1]})`;
    const hue = (210 + order.get(owner >> 2) * 137) % 360;
    return dark.matches ? `hsl(${hue} 45% 27%)` : `hsl(${hue} 70% 84%)`;
  };

  // One CPU: crossed out where nothing runs on it, framed where it is QEMU's own.
  function cell(owner, x, y, order) {
    const parts = [draw("rect", { class: "cell", x, y, width: CELL, height: HIGH, fill: fill(owner, order) })];
    const use = useOf(owner);
    if (use === "idle sibling" || use === "not used")
      parts.push(draw("path", { class: "cross", d: `M${x + 2} ${y + HIGH - 2}L${x + CELL - 2} ${y + 2}` }));
    if (use === "emulator")
      parts.push(draw("rect", { class: "cross", x: x + 2.5, y: y + 2.5, width: CELL - 5, height: HIGH - 5 }));
    return parts;
  }

  function cacheMap(cache, order) {
    const rows = Math.ceil(cache.cores.length / ROW);
    const most = Math.max(...cache.cores.map((core) => core.length));
    const high = HEAD + most * HIGH + 8;
    const width = Math.min(cache.cores.length, ROW) * (CELL + GAP) + 4;
    const svg = draw("svg", { width, height: rows * high, viewBox: `0 0 ${width} ${rows * high}`, role: "group",
      "aria-label": cache.l3 === null ? "cores" : `L3 ${cache.l3}` });
    for (let row = 0; row < rows; row++) {
      const cores = cache.cores.slice(row * ROW, row * ROW + ROW);
      let start = 0;
      while (start < cores.length) {
        const owner = ownerOf(cores[start]);
        let end = start + 1;
        while (end < cores.length && ownerOf(cores[end]) === owner) end++;
        svg.append(run(cores.slice(start, end), owner, 2 + start * (CELL + GAP), row * high, most, order));
        start = end;
      }
    }
    return svg;
  }
  // A run of cores is one guest's, or of one use.
  const ownerOf = (core) => {
    const owned = core.find(([, owner]) => owner >= 0);
    return owned ? owned[1] >> 2 : core[0][1] < 0 ? core[0][1] : 0;
  };

  function run(cores, owner, left, top, most, order) {
    const guest = owner >= 0 ? data.guests[owner] : null;
    const group = draw("g", guest ? { class: "run", tabindex: 0, role: "button", "data-guest": owner } : {});
    const width = cores.length * (CELL + GAP) - GAP;
    const cpus = [];
    cores.forEach((core, column) => {
      const x = left + column * (CELL + GAP);
      core.forEach(([cpu, use], index) => {
        const y = top + HEAD + index * HIGH;
        group.append(...cell(use, x, y, order), draw("text", { x: x + CELL / 2, y: y + 13, "text-anchor": "middle" }, cpu));
        cpus.push(cpu);
      });
    });
    if (guest) {
      group.append(draw("rect", { class: "frame", x: left - 1, y: top + HEAD - 1, width: width + 2, height: most * HIGH + 2, rx: 2 }));
      const room = Math.floor((width + 2) / 6.6);
      const name = guest.name.length > room ? (room > 2 ? guest.name.slice(0, room - 1) + "…" : "") : guest.name;
      group.append(draw("text", { class: "who", x: left, y: top + 12 }, name));
      group.append(draw("title", {}, `${guest.name}: CPUs ${cpus.join(", ")}`));
      const change = guest.change ? `, ${guest.change}` : "";
      group.setAttribute("aria-label", `guest ${guest.name}${change}, CPUs ${cpus.join(" ")}, ${guest.source}`);
      if (guest.change && data.marked) group.classList.add("changed");
    }
    return group;
  }

  function nodeMap(node, order) {
    const box = make("section", { class: "node" }, make("h4", {}, node.title));
    if (node.facts.length) box.append(make("p", { class: "small" }, node.facts.join(" · ")));
    const caches = make("div", { class: "caches" });
    for (const cache of node.caches)
      caches.append(make("figure", {}, make("figcaption", {}, cache.l3 === null ? "cores" : `L3 ${cache.l3}`), cacheMap(cache, order)));
    if (!node.caches.length) caches.append(make("p", {}, "no CPUs"));
    box.append(caches);
    for (const line of node.devices) box.append(make("p", { class: "small" }, line));
    return box;
  }

  function nodeTable(host) {
    const head = make("tr", {}, ...["node", "L3", "CPUs of the core", "use", "guest"].map((name) => make("th", { scope: "col" }, name)));
    const body = make("tbody", {});
    for (const node of host.nodes) for (const cache of node.caches) for (const core of cache.cores) {
      const uses = [...new Set(core.map(([, owner]) => useOf(owner)))].join(", ");
      const guests = [...new Set(core.map(([, owner]) => guestOf(owner)).filter(Boolean).map((guest) => guest.name))].join(", ");
      body.append(make("tr", {}, make("th", { scope: "row" }, String(node.id)),
        ...[cache.l3 === null ? "-" : String(cache.l3), core.map(([cpu]) => cpu).join(" "), uses, guests || "-"].map((text) => make("td", {}, text))));
    }
    return make("div", { class: "wide" }, make("table", {}, make("thead", {}, head), body));
  }

  function mapOf(host, title, order) {
    const box = make("div", { class: "map" });
    if (title) box.append(make("h3", {}, title));
    if (asTable) box.append(nodeTable(host));
    else for (const node of host.nodes) box.append(nodeMap(node, order));
    if (host.floating.length) {
      const list = make("ul", { class: "floating" });
      for (const index of host.floating) {
        const guest = data.guests[index];
        const button = make("button", { type: "button", "data-guest": index }, guest.name);
        if (guest.change && data.marked) button.classList.add("changed");
        list.append(make("li", {}, button));
      }
      box.append(make("h4", {}, "on shared CPUs"), list);
    }
    return box;
  }

  // The same guest has the same colour before and after.
  function orderOf(...hosts) {
    const order = new Map();
    for (const host of hosts) if (host) for (const node of host.nodes) for (const cache of node.caches)
      for (const core of cache.cores) for (const [, owner] of core)
        if (owner >= 0 && !order.has(owner >> 2)) order.set(owner >> 2, order.size);
    return order;
  }

  function legend(host, order) {
    const seen = new Map();
    for (const node of host.nodes) for (const cache of node.caches) for (const core of cache.cores)
      for (const [, owner] of core) if (!seen.has(useOf(owner))) seen.set(useOf(owner), owner);
    const uses = [...data.owned, ...data.uses].filter((use) => seen.has(use));
    byId("legend").replaceChildren(...uses.map((use) => {
      const svg = draw("svg", { width: CELL, height: HIGH, "aria-hidden": "true" });
      svg.append(...cell(seen.get(use), 0, 0, order));
      return make("li", {}, svg, use);
    }));
  }

  function show(index) {
    current = index;
    const host = data.hosts[index], before = data.before[host.name];
    const order = orderOf(before, host);
    byId("host-name").textContent = host.name;
    byId("host-facts").textContent = host.facts;
    legend(host, order);
    const maps = before ? [mapOf(before, "Before", order), mapOf(host, "After", order)] : [mapOf(host, "", order)];
    byId("maps").replaceChildren(...maps);
    byId("stranded").replaceChildren(...host.stranded.map((text) => make("li", {}, `stranded: ${text}`)));
    for (const button of document.querySelectorAll("#hosts button"))
      button.setAttribute("aria-current", String(Number(button.dataset.host) === index));
    mark();
  }

  function mark() {
    for (const node of document.querySelectorAll("#maps [data-guest]"))
      node.classList.toggle("chosen", Number(node.dataset.guest) === chosen);
  }

  function tell(index) {
    chosen = index;
    const guest = data.guests[index];
    byId("guest-name").textContent = guest.name;
    const list = make("dl", {});
    for (const [name, value] of guest.rows) list.append(make("dt", {}, name), make("dd", {}, value));
    byId("guest").replaceChildren(list);
    mark();
  }

  const picked = (event) => event.target.closest("[data-guest]");
  for (const kind of ["mouseover", "focusin", "click"])
    byId("maps").addEventListener(kind, (event) => { const node = picked(event); if (node) tell(Number(node.dataset.guest)); });
  byId("hosts").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) show(Number(button.dataset.host));
  });
  byId("hosts").addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const buttons = [...document.querySelectorAll("#hosts li:not([hidden]) button")];
    const next = buttons[buttons.indexOf(document.activeElement) + step];
    if (next) { next.focus(); event.preventDefault(); }
  });
  const view = (table) => {
    asTable = table;
    byId("as-map").setAttribute("aria-pressed", String(!table));
    byId("as-table").setAttribute("aria-pressed", String(table));
    show(current);
  };
  byId("as-map").addEventListener("click", () => view(false));
  byId("as-table").addEventListener("click", () => view(true));
  dark.addEventListener("change", () => show(current));

  const find = () => {
    const text = byId("find").value.trim().toLowerCase();
    const guests = text ? data.guests.map((guest, index) => [guest, index]).filter(([guest]) => guest.name.toLowerCase().includes(text)) : [];
    const on = new Set(guests.map(([guest]) => guest.host));
    let hosts = 0;
    document.querySelectorAll("#hosts li").forEach((item, index) => {
      const name = data.hosts[index].name;
      item.hidden = Boolean(text) && !on.has(name) && !name.toLowerCase().includes(text);
      if (!item.hidden) hosts++;
    });
    byId("found").textContent = text ? `${counted(guests.length, "guest")}, ${counted(hosts, "host")}` : "";
    return guests;
  };
  const go = ([guest, index]) => {
    const host = data.hosts.findIndex((one) => one.name === guest.host);
    if (host >= 0) show(host);
    tell(index);
  };
  byId("find").addEventListener("input", () => {
    const guests = find();
    const exact = guests.filter(([guest]) => guest.name.toLowerCase() === byId("find").value.trim().toLowerCase());
    if (exact.length === 1 || guests.length === 1) go(exact[0] || guests[0]);
  });
  byId("find").addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    const guests = find();
    if (guests.length) go(guests[0]);
    else { const first = document.querySelector("#hosts li:not([hidden]) button"); if (first) show(Number(first.dataset.host)); }
  });
  show(data.first);
})();
