// The unit view: look at units under the spectrogram, hear stretches of them, and edit them.
(() => {
  const S = window.SpeechVQ, { el } = S, LONE_SECONDS = 0.3;

  const runsOf = (units) => {
    const runs = [];
    units.forEach(({ id }, at) => {
      const last = runs[runs.length - 1];
      if (last && last.id === id) last.end = at + 1;
      else runs.push({ id, start: at, end: at + 1 });
    });
    return runs;
  };

  const phonesOf = (runs, table) => {
    const phones = [];
    for (const run of runs) {
      const label = table[run.id] ? table[run.id][0][0] : "–", last = phones[phones.length - 1];
      if (last && last.label === label) last.end = run.end;
      else phones.push({ label, start: run.start, end: run.end });
    }
    return phones;
  };

  S.units = (element, props, watch, trigger, options) => {
    const root = element.querySelector(".sv-units");
    const canvas = el("canvas", { class: "sv-strip", "aria-hidden": "true" });
    const spacer = el("div", { class: "sv-spacer" });
    const scroller = el("div", { class: "sv-scroller", tabindex: "0", role: "application", "aria-label": "Units over time. Arrow keys move from unit to unit, with shift they extend the selection; space plays, delete removes." }, canvas, spacer);
    const tip = el("div", { class: "sv-tip", hidden: true });
    const readout = el("p", { class: "sv-status", role: "status" }, "Hover over the units, click one, or drag over several.");
    const buttons = {};
    const button = (name, title, action) => (buttons[name] = el("button", { type: "button", class: "sv-button", title, onclick: action }, name));
    const row = el("div", { class: "sv-row" },
      button("Play", "Play the selected stretch of the recording, or all of it", () => play()),
      button("Delete", "Remove the selected units", () => edit((u, a, b) => [[...u.slice(0, a), ...u.slice(b)], null])),
      button("Repeat", "Say the selected units twice", () => edit((u, a, b) => [[...u.slice(0, b), ...u.slice(a)], [a, 2 * b - a]])),
      button("Stretch", "Let each selected unit last twice as long", () => edit((u, a, b) => [[...u.slice(0, a), ...u.slice(a, b).flatMap((v) => [v, v]), ...u.slice(b)], [a, 2 * b - a]])),
      button("Swap", "Swap the first and the last unit of the selection; a lone one changes places with the next", () => edit(swap)),
      button("Undo", "Take back the last edit", () => { if (past.length) { strip.units = past.pop(); strip.selection = null; changed(); } }),
      el("span", { class: "sv-gap" }),
      button("−", "Zoom out", () => zoom(1 / 1.6)),
      button("Fit", "Show everything", () => fit()),
      button("+", "Zoom in", () => zoom(1.6)));
    buttons["−"].setAttribute("aria-label", "Zoom out");
    buttons["+"].setAttribute("aria-label", "Zoom in");
    const frame = el("div", { class: "sv-frame" }, scroller, tip);
    root.append(frame, readout, row);
    const height = S.stripHeight(options.likely);
    canvas.style.height = `${height}px`;
    frame.style.setProperty("--sv-strip-height", `${height}px`);

    // Gradio leaves a text box with a copy button without a name for screen readers.
    const name = () => {
      const box = document.querySelector("#units-text textarea");
      if (box) box.setAttribute("aria-label", "Units as text");
      else setTimeout(name, 200);
    };
    name();

    let strip = null, past = [], drag = null, audio = null;
    const able = () => Object.values(buttons).forEach((b) => { b.disabled = !strip; });
    able();

    const draw = () => { if (strip) { strip.left = scroller.scrollLeft; S.drawStrip(canvas, strip); } };
    const size = () => { spacer.style.width = `${strip.units.length * strip.zoom}px`; draw(); };
    const seconds = (units) => (units * strip.view.hop) / strip.view.rate;
    const fit = () => { if (strip) { strip.zoom = Math.max(0.05, scroller.clientWidth / Math.max(1, strip.units.length)); size(); } };
    const zoom = (factor) => {
      const centre = strip.selection ? (strip.selection[0] + strip.selection[1]) / 2 : (scroller.scrollLeft + scroller.clientWidth / 2) / strip.zoom;
      strip.zoom = Math.min(80, Math.max(scroller.clientWidth / Math.max(1, strip.units.length), strip.zoom * factor));
      size();
      scroller.scrollLeft = centre * strip.zoom - scroller.clientWidth / 2;
      draw();
    };

    const runAt = (unit) => strip.runs.find((run) => unit >= run.start && unit < run.end);
    const describe = (run) => {
      const likely = (strip.view.phones[run.id] || []).map(([phone, share]) => `${phone} ${Math.round(100 * share)} %`).join(", ");
      return `Unit ${run.id} · ${seconds(run.start).toFixed(3)}–${seconds(run.end).toFixed(3)} s${likely ? ` · likely ${likely}` : ""}`;
    };
    const tell = () => {
      const { selection } = strip;
      if (!selection) readout.textContent = `${strip.units.length} units in ${seconds(strip.units.length).toFixed(2)} s, ${strip.runs.length} without repeats.`;
      else {
        const inside = strip.runs.filter((run) => run.end > selection[0] && run.start < selection[1]);
        readout.textContent = inside.length === 1 ? describe(inside[0]) : `${inside.length} units selected, ${seconds(selection[0]).toFixed(3)}–${seconds(selection[1]).toFixed(3)} s`;
      }
    };
    const select = (a, b) => { strip.selection = a < b ? [a, b] : null; tell(); draw(); };

    const changed = (send = true) => {
      strip.runs = runsOf(strip.units);
      strip.phones = phonesOf(strip.runs, strip.view.phones);
      size();
      tell();
      if (send) trigger("edited");
    };
    const edit = (make) => {
      if (!strip) return;
      if (!strip.selection) { readout.textContent = "Select some units first: click one, or drag over several."; return; }
      past.push(strip.units);
      [strip.units, strip.selection] = make(strip.units, ...strip.selection);
      changed();
    };
    const swap = (u, a, b) => {
      const inside = strip.runs.filter((run) => run.end > a && run.start < b);
      const first = inside[0], last = inside.length > 1 ? inside[inside.length - 1] : strip.runs[strip.runs.indexOf(first) + 1];
      if (!last) return [u, [a, b]];
      const cut = (run) => u.slice(run.start, run.end);
      return [[...u.slice(0, first.start), ...cut(last), ...u.slice(first.end, last.start), ...cut(first), ...u.slice(last.end)], [first.start, last.end]];
    };

    const play = () => {
      const source = S.sources[options.source];
      if (!strip || !source) return;
      const [a, b] = strip.selection || [0, strip.units.length], hop = (strip.view.hop * source.rate) / strip.view.rate;
      const out = new Float32Array(Math.round((b - a) * hop));
      for (let i = a; i < b; i++) {
        const { from } = strip.units[i];
        if (from >= 0) out.set(source.samples.subarray(Math.round(from * hop), Math.round((from + 1) * hop)).subarray(0, Math.round((i + 1 - a) * hop) - Math.round((i - a) * hop)), Math.round((i - a) * hop));
      }
      if (audio) { audio.pause(); URL.revokeObjectURL(audio.src); }
      audio = new Audio(S.url(out, source.rate));
      const tick = () => { strip.cursor = audio.paused || audio.ended ? null : a + ((b - a) * audio.currentTime) / (audio.duration || 1); draw(); if (strip.cursor !== null) requestAnimationFrame(tick); };
      audio.addEventListener("playing", tick);
      audio.play();
    };

    const unitAt = (event) => Math.max(0, Math.min(strip.units.length - 1, Math.floor((event.clientX - canvas.getBoundingClientRect().left + scroller.scrollLeft) / strip.zoom)));
    canvas.addEventListener("pointerdown", (event) => {
      if (!strip || !strip.units.length) return;
      const run = runAt(unitAt(event));
      drag = { run, type: event.pointerType };
      select(run.start, run.end);
      if (event.pointerType === "mouse") canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!strip || !strip.units.length) return;
      const run = runAt(unitAt(event)), box = frame.getBoundingClientRect();
      if (drag && drag.type === "mouse") select(Math.min(drag.run.start, run.start), Math.max(drag.run.end, run.end));
      tip.textContent = describe(run);
      tip.hidden = false;
      tip.style.left = `${Math.max(4, Math.min(box.width - tip.offsetWidth - 4, event.clientX - box.left + 12))}px`;
      tip.style.top = `${Math.max(2, event.clientY - box.top - 38)}px`;
    });
    canvas.addEventListener("pointerup", () => { drag = null; });
    canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
    scroller.addEventListener("scroll", draw);
    new ResizeObserver(() => strip && (strip.fitted ? draw() : ((strip.fitted = true), fit()))).observe(scroller);
    new MutationObserver(draw).observe(document.body, { attributes: true, attributeFilter: ["class"] });

    scroller.addEventListener("keydown", (event) => {
      if (!strip || !strip.units.length) return;
      const [a, b] = strip.selection || [0, 0], right = event.key === "ArrowRight";
      if (right || event.key === "ArrowLeft") {
        const next = strip.selection ? runAt(right ? b : a - 1) : strip.runs[0];
        if (next) select(event.shiftKey ? Math.min(a, next.start) : next.start, event.shiftKey ? Math.max(b, next.end) : next.end);
        const at = strip.selection[right ? 1 : 0] * strip.zoom;
        if (at < scroller.scrollLeft || at > scroller.scrollLeft + scroller.clientWidth) scroller.scrollLeft = at - scroller.clientWidth / 2;
      } else if (event.key === " ") play();
      else if (event.key === "Delete" || event.key === "Backspace") buttons.Delete.click();
      else if (event.key === "Escape") select(0, 0);
      else return;
      event.preventDefault();
    });

    watch("value", () => {
      if (!props.value) return;
      const view = JSON.parse(props.value);
      strip = { view, picture: S.picture(view), units: view.ids.map((id, from) => ({ id, from })), zoom: 1, left: 0, selection: null, cursor: null, likely: options.likely, fitted: scroller.clientWidth > 0 };
      past = [];
      scroller.scrollLeft = 0;
      changed(false);
      fit();
      able();
    });

    S.strips[options.name] = {
      text: () => (strip ? strip.units.map(({ id }) => id).join(" ") : ""),
      // A lone unit is too short to be heard, so it is held.
      selected: () => {
        if (!strip || !strip.selection) return "";
        const ids = strip.units.slice(...strip.selection).map(({ id }) => id);
        while (ids.every((id) => id === ids[0]) && seconds(ids.length) < LONE_SECONDS) ids.push(ids[0]);
        return ids.join(" ");
      },
      // Text that somebody typed: stretches at its ends that did not change keep their piece of the recording.
      type: (text) => {
        if (!strip) return;
        const ids = text.split(/[\s,]+/).filter(Boolean).map(Number), old = strip.units;
        if (ids.some((id) => !Number.isInteger(id) || id < 0 || id >= strip.view.codebook)) return;
        if (ids.length === old.length && ids.every((id, i) => id === old[i].id)) return;
        let head = 0, tail = 0;
        while (head < Math.min(ids.length, old.length) && ids[head] === old[head].id) head++;
        while (tail < Math.min(ids.length, old.length) - head && ids[ids.length - 1 - tail] === old[old.length - 1 - tail].id) tail++;
        past.push(old);
        strip.units = [...old.slice(0, head), ...ids.slice(head, ids.length - tail).map((id) => ({ id, from: -1 })), ...old.slice(old.length - tail)];
        strip.selection = null;
        changed(false);
      },
    };
  };
})();
