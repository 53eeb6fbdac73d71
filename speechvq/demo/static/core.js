// What all widgets share: building elements, audio as text, and drawing waves.
window.SpeechVQ = { sources: {}, strips: {}, players: {} };
(() => {
  const S = window.SpeechVQ;

  S.el = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (name in node && typeof value !== "string") node[name] = value;
      else node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  };

  S.bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

  S.base64 = (bytes) => {
    let text = "";
    for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
    return btoa(text);
  };

  // 16-bit little-endian samples in base64 -> Float32Array.
  S.samples = (text) => {
    const bytes = S.bytes(text);
    return Float32Array.from(new Int16Array(bytes.buffer, 0, bytes.length >> 1), (v) => v / 32767);
  };

  // Float32Array -> bytes of a mono 16-bit WAV file.
  S.wav = (samples, rate) => {
    const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
    const tag = (at, text) => [...text].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
    tag(0, "RIFF"); view.setUint32(4, 36 + 2 * samples.length, true); tag(8, "WAVEfmt ");
    view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
    view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true); view.setUint16(32, 2, true); view.setUint16(34, 16, true);
    tag(36, "data"); view.setUint32(40, 2 * samples.length, true);
    samples.forEach((v, i) => view.setInt16(44 + 2 * i, Math.max(-1, Math.min(1, v)) * 32767, true));
    return new Uint8Array(view.buffer);
  };

  S.url = (samples, rate) => URL.createObjectURL(new Blob([S.wav(samples, rate)], { type: "audio/wav" }));

  // Any file the browser can play -> mono samples at a rate.
  S.decode = async (buffer, rate) => {
    const audio = await new OfflineAudioContext(1, 1, rate).decodeAudioData(buffer);
    const mono = new Float32Array(audio.length);
    for (let c = 0; c < audio.numberOfChannels; c++) {
      audio.getChannelData(c).forEach((v, i) => { mono[i] += v / audio.numberOfChannels; });
    }
    return mono;
  };

  S.colour = (node, name) => getComputedStyle(node).getPropertyValue(name).trim();

  // A canvas as wide as its box, sharp on any screen; returns its context in CSS pixels.
  S.fit = (canvas) => {
    const ratio = window.devicePixelRatio || 1, { clientWidth: w, clientHeight: h } = canvas;
    if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
      canvas.width = Math.round(w * ratio); canvas.height = Math.round(h * ratio);
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, w, h);
    return [context, w, h];
  };

  // A waveform of `made` samples on a canvas that stands for `total`; what lies before `played` (0..1) is accented.
  S.wave = (canvas, samples, made, total, played = 0) => {
    if (!canvas.clientWidth) return;
    const [c, w, h] = S.fit(canvas), step = 4, bars = Math.floor(w / step);
    const accent = S.colour(canvas, "--sv-accent"), rest = S.colour(canvas, "--sv-wave"), empty = S.colour(canvas, "--sv-line");
    let top = 0.05;
    for (let i = 0; i < made; i += 7) top = Math.max(top, Math.abs(samples[i]));
    for (let bar = 0; bar < bars; bar++) {
      const from = Math.floor((bar / bars) * total), to = Math.floor(((bar + 1) / bars) * total);
      let peak = 0;
      if (from < made) for (let i = from; i < Math.min(to, made); i += 3) peak = Math.max(peak, Math.abs(samples[i]));
      const height = from < made ? Math.max(2, Math.min(1, peak / top) * (h - 6)) : 2;
      c.fillStyle = from >= made ? empty : bar / bars < played ? accent : rest;
      c.beginPath(); c.roundRect(bar * step, (h - height) / 2, step - 1.5, height, 1.2); c.fill();
    }
  };

  S.clock = (seconds) => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;

  // A wave with native controls under it: { root, show(samples, made, total, rate), finish(samples, rate), clear() }.
  S.player = (label) => {
    const canvas = S.el("canvas", { class: "sv-wave", "aria-hidden": "true" });
    const audio = S.el("audio", { controls: true, preload: "auto", "aria-label": label });
    const root = S.el("div", { class: "sv-player sv-idle" }, canvas, audio);
    let state = { samples: new Float32Array(0), made: 0, total: 1 };
    const draw = () => S.wave(canvas, state.samples, state.made, state.total, audio.duration ? audio.currentTime / audio.duration : 0);
    const tick = () => { draw(); if (!audio.paused) requestAnimationFrame(tick); };
    audio.addEventListener("play", () => {
      document.querySelectorAll("audio").forEach((other) => other !== audio && other.pause());
      tick();
    });
    audio.addEventListener("seeked", draw);
    new ResizeObserver(draw).observe(canvas);
    canvas.addEventListener("click", (event) => {
      if (audio.duration) audio.currentTime = (event.offsetX / canvas.clientWidth) * audio.duration;
    });
    new MutationObserver(draw).observe(document.body, { attributes: true, attributeFilter: ["class"] });
    const clear = () => {
      if (audio.src) { audio.pause(); URL.revokeObjectURL(audio.src); audio.removeAttribute("src"); audio.load(); }
      root.classList.add("sv-idle");
    };
    return {
      root, audio, clear,
      show(samples, made, total) { state = { samples, made, total }; draw(); },
      finish(samples, rate) {
        clear();
        state = { samples, made: samples.length, total: samples.length };
        audio.src = S.url(samples, rate);
        root.classList.remove("sv-idle");
        draw();
      },
    };
  };

  // Offer a file to keep: JSON with `name` and `data` in base64.
  S.save = (value) => {
    if (!value) return;
    const { name, data } = JSON.parse(value);
    const link = S.el("a", { href: URL.createObjectURL(new Blob([S.bytes(data)])), download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };
})();
