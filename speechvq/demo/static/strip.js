// Draws the part of a unit strip that is in view: time, spectrogram, units, phones.
(() => {
  const S = window.SpeechVQ;
  const ROWS = { time: 20, picture: 150, units: 46, phones: 28 };
  const STOPS = [[8, 6, 28], [59, 15, 112], [140, 41, 129], [222, 73, 104], [254, 159, 109], [252, 253, 191]];

  // The colour of loudness 0..255, dark to light.
  const PALETTE = Array.from({ length: 256 }, (_, v) => {
    const at = (v / 255) * (STOPS.length - 1), i = Math.min(STOPS.length - 2, Math.floor(at));
    return STOPS[i].map((low, c) => Math.round(low + (at - i) * (STOPS[i + 1][c] - low)));
  });

  // Neighbouring numbers get hues far apart; the same unit always has the same colour.
  S.unitColour = (id) => `hsl(${(id * 137.508) % 360} ${55 + (id % 3) * 12}% ${48 + (id % 4) * 6}%)`;

  S.stripHeight = (likely) => ROWS.time + ROWS.picture + ROWS.units + (likely ? ROWS.phones : 0);

  // A picture one column wide for each spectrogram column of the recording.
  S.picture = (view) => {
    const bytes = S.bytes(view.image), width = view.ids.length * view.columns;
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, width);
    canvas.height = view.bands;
    const context = canvas.getContext("2d"), pixels = context.createImageData(canvas.width, canvas.height);
    for (let x = 0; x < width; x++) {
      for (let band = 0; band < view.bands; band++) {
        const [r, g, b] = PALETTE[bytes[x * view.bands + band]];
        pixels.data.set([r, g, b, 255], 4 * ((view.bands - 1 - band) * width + x));
      }
    }
    context.putImageData(pixels, 0, 0);
    return canvas;
  };

  // strip: { view, picture, units: [{id, from}], runs, phones, zoom, left, selection: [a, b) | null, cursor, likely }
  S.drawStrip = (canvas, strip) => {
    if (!canvas.clientWidth) return;
    const [c, w] = S.fit(canvas), { units, zoom, left } = strip;
    const first = Math.max(0, Math.floor(left / zoom)), last = Math.min(units.length, Math.ceil((left + w) / zoom));
    const x = (unit) => unit * zoom - left;
    const text = S.colour(canvas, "--sv-text"), line = S.colour(canvas, "--sv-line");
    c.font = "11px system-ui, sans-serif";
    c.textBaseline = "middle";

    const seconds = strip.view.hop / strip.view.rate, step = [0.05, 0.1, 0.2, 0.5, 1, 2, 5].find((s) => (s / seconds) * zoom > 64) || 10;
    c.fillStyle = text;
    for (let t = Math.floor((first * seconds) / step) * step; t <= last * seconds; t += step) {
      const at = x(t / seconds);
      c.fillRect(at, ROWS.time - 5, 1, 5);
      c.fillText(`${t.toFixed(step < 0.1 ? 2 : step < 1 ? 1 : 0)} s`, at + 4, ROWS.time / 2 - 1);
    }

    c.imageSmoothingEnabled = zoom / strip.view.columns < 3;
    for (let at = first; at < last; ) {
      // Stretches that lie side by side in the recording are drawn at one go.
      let end = at + 1;
      const from = units[at].from;
      while (end < last && from >= 0 && units[end].from === from + end - at) end++;
      if (from >= 0) c.drawImage(strip.picture, from * strip.view.columns, 0, (end - at) * strip.view.columns, strip.view.bands, x(at), ROWS.time, (end - at) * zoom, ROWS.picture);
      else { c.fillStyle = line; c.fillRect(x(at), ROWS.time, zoom * (end - at), ROWS.picture); }
      at = end;
    }

    const top = ROWS.time + ROWS.picture + 3;
    for (const run of strip.runs) {
      if (run.end <= first || run.start >= last) continue;
      const width = (run.end - run.start) * zoom;
      c.fillStyle = S.unitColour(run.id);
      c.fillRect(x(run.start), top, Math.max(0.5, width - (width > 4 ? 1 : 0)), ROWS.units - 8);
      if (width > 24) { c.fillStyle = "#fff"; c.textAlign = "center"; c.fillText(run.id, x(run.start) + width / 2, top + (ROWS.units - 8) / 2); c.textAlign = "left"; }
    }

    if (strip.likely) {
      const row = ROWS.time + ROWS.picture + ROWS.units - 2;
      for (const phone of strip.phones) {
        if (phone.end <= first || phone.start >= last) continue;
        const width = (phone.end - phone.start) * zoom;
        c.fillStyle = line;
        c.fillRect(x(phone.start), row, Math.max(1, width - 1), ROWS.phones - 6);
        if (width > 16) { c.fillStyle = text; c.textAlign = "center"; c.fillText(phone.label, x(phone.start) + width / 2, row + (ROWS.phones - 6) / 2, width); c.textAlign = "left"; }
      }
    }

    const height = S.stripHeight(strip.likely);
    if (strip.selection) {
      const [a, b] = strip.selection;
      c.fillStyle = "rgb(255 255 255 / 0.18)";
      c.fillRect(x(a), ROWS.time, (b - a) * zoom, ROWS.picture);
      c.strokeStyle = S.colour(canvas, "--sv-accent");
      c.lineWidth = 2.5;
      c.strokeRect(x(a), ROWS.time + 1, Math.max(2, (b - a) * zoom), height - ROWS.time - 3);
    }
    if (strip.cursor !== null) {
      c.fillStyle = text;
      c.fillRect(x(strip.cursor), ROWS.time, 1.5, height - ROWS.time);
    }
  };
})();
