// Record, upload, drop or take an example. What comes of it is decoded here, so that any format the browser
// plays will do, and goes to the server as a WAV file in base64.
(() => {
  const S = window.SpeechVQ, LARGEST = 50 << 20;

  S.recorder = (element, props, watch, trigger, options) => {
    const root = element.querySelector(".sv-recorder");
    const { el } = S;
    const player = S.player(`${options.label}: your recording`);
    const status = el("p", { class: "sv-status", role: "status" });
    const input = el("input", { type: "file", accept: "audio/*,.flac,.opus", class: "sv-file", "aria-label": `${options.label}: audio file` });
    const record = el("button", { type: "button", class: "sv-button sv-record", onclick: toggle }, "Record");
    const upload = el("button", { type: "button", class: "sv-button", onclick: () => input.click() }, "Upload");
    const buttons = el("div", { class: "sv-row" }, record, upload, input);
    if (options.examples) {
      const examples = window.SpeechVQExamples.map((example) => el("button", { type: "button", class: "sv-chip", onclick: () => take(S.bytes(example.data).buffer, example.name) }, example.name));
      buttons.append(el("span", { class: "sv-examples" }, el("span", { class: "sv-quiet" }, "or try"), ...examples));
    }
    root.append(el("div", { class: "sv-label" }, options.label), buttons, player.root, status);
    const say = (text, fault = false) => { status.textContent = text; status.classList.toggle("sv-fault", fault); };
    const hint = `Up to ${options.seconds} seconds. Nothing is kept on the server.`;
    say(hint);
    player.show(new Float32Array(0), 0, 1);

    input.addEventListener("change", () => { if (input.files[0]) receive(input.files[0]); input.value = ""; });
    root.addEventListener("dragover", (event) => { event.preventDefault(); root.classList.add("sv-over"); });
    root.addEventListener("dragleave", () => root.classList.remove("sv-over"));
    root.addEventListener("drop", (event) => {
      event.preventDefault();
      root.classList.remove("sv-over");
      if (event.dataTransfer.files[0]) receive(event.dataTransfer.files[0]);
    });

    async function receive(file) {
      if (file.size > LARGEST) return say(`${file.name} is larger than ${LARGEST >> 20} MB: give a shorter piece.`, true);
      await take(await file.arrayBuffer(), file.name);
    }

    async function take(buffer, name) {
      let samples;
      try {
        samples = await S.decode(buffer, options.rate);
      } catch {
        return say(`${name} holds no audio that this browser can read: try a WAV, MP3 or M4A file.`, true);
      }
      const seconds = samples.length / options.rate;
      if (seconds > options.seconds + 0.05) return say(`${name} lasts ${S.clock(seconds)}; up to ${options.seconds} seconds are taken: give a shorter piece.`, true);
      if (seconds < 0.1) return say(`${name} is empty: record something longer.`, true);
      S.sources[options.name] = { name, samples, rate: options.rate };
      player.finish(samples, options.rate);
      say(`${name}, ${seconds.toFixed(1)} s`);
      props.value = JSON.stringify({ name, data: S.base64(S.wav(samples, options.rate)) });
      trigger("change");
    }

    let recording = null;
    async function toggle() {
      if (recording) return recording.stop();
      if (!navigator.mediaDevices) return say("This browser gives no microphone to pages without https: upload a file, or open the page on this machine.", true);
      let stream;
      try {
        stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      } catch {
        return say("The microphone cannot be used: allow it in the browser, or upload a file.", true);
      }
      player.clear();
      const media = new MediaRecorder(stream), chunks = [], context = new AudioContext();
      const analyser = context.createAnalyser(), level = new Float32Array(analyser.fftSize);
      context.createMediaStreamSource(stream).connect(analyser);
      const peaks = new Float32Array(Math.ceil(options.seconds * 50)), began = performance.now();
      media.ondataavailable = (event) => chunks.push(event.data);
      media.onstop = async () => {
        clearInterval(timer);
        stream.getTracks().forEach((track) => track.stop());
        context.close();
        recording = null;
        record.textContent = "Record";
        record.classList.remove("sv-on");
        say("One moment …");
        await take(await new Blob(chunks).arrayBuffer(), "Recording");
      };
      const timer = setInterval(() => {
        const seconds = (performance.now() - began) / 1000, at = Math.min(peaks.length, Math.floor(seconds * 50));
        analyser.getFloatTimeDomainData(level);
        peaks.fill(level.reduce((top, v) => Math.max(top, Math.abs(v)), 0), Math.max(0, at - 3), at);
        player.show(peaks, at, peaks.length);
        say(`Recording … ${S.clock(seconds)} of ${options.seconds} s`);
        if (seconds > options.seconds - 0.2) media.stop();
      }, 60);
      media.start();
      recording = media;
      record.textContent = "Stop";
      record.classList.add("sv-on");
    }
  };
})();
