// Cards that show takes while they are made, play the first as it comes, and all once they are whole.
(() => {
  const S = window.SpeechVQ, { el } = S;

  // Plays pieces one behind the other as they arrive; waits where they come late.
  class Live {
    constructor(rate) { this.context = new AudioContext(); this.rate = rate; this.next = 0; }
    add(samples) {
      if (!samples.length || this.context.state === "closed") return;
      const buffer = this.context.createBuffer(1, samples.length, this.rate), node = this.context.createBufferSource();
      buffer.copyToChannel(samples, 0);
      node.buffer = buffer;
      node.connect(this.context.destination);
      this.next = Math.max(this.next, this.context.currentTime + 0.15);
      node.start(this.next);
      this.next += samples.length / this.rate;
    }
    close() { if (this.context.state !== "closed") this.context.close(); }
  }

  const slug = (text) => text.replace(/\.\w+$/, "").replace(/[^A-Za-z0-9]+/g, "-").replace(/^-|-$/g, "") || "voice";

  class Card {
    constructor(row, rate, source) {
      Object.assign(this, { rate, total: row.total, samples: new Float32Array(row.total), have: 0, whole: false });
      this.player = S.player(`${row.voice}: result`);
      this.note = el("span", { class: "sv-note" }, "waiting");
      this.bar = el("progress", { max: 1, value: 0, "aria-label": `${row.voice}: progress` });
      this.save = el("a", { class: "sv-save", "aria-disabled": "true", download: `${slug(source)}-${slug(row.voice)}.wav` }, "Download");
      const head = el("div", { class: "sv-card-head" }, el("strong", {}, row.voice), this.note);
      this.root = el("article", { class: "sv-card", "aria-label": row.voice }, head, this.bar, this.player.root, this.save);
      this.player.show(this.samples, 0, this.total);
    }
    // Take in what a row brings; returns what is new and follows on what was there.
    update(row) {
      if (this.whole) return new Float32Array(0);
      const before = this.have;
      if (row.pcm !== undefined && row.from <= this.have) {
        const pcm = S.samples(row.pcm);
        this.samples.set(pcm, row.from);
        this.have = Math.max(this.have, row.from + pcm.length);
      }
      this.bar.value = row.made / this.total;
      if (this.have === this.total) this.finish(row.speed);
      else if (row.made) {
        this.note.textContent = `${Math.floor((100 * row.made) / this.total)} % · ${row.speed.toFixed(1)}× real time`;
        this.player.show(this.samples, this.have, this.total);
      }
      return this.samples.subarray(before, this.have);
    }
    finish(speed) {
      this.whole = true;
      this.root.classList.add("sv-whole");
      this.note.textContent = `${(this.total / this.rate).toFixed(1)} s · made at ${speed.toFixed(1)}× real time`;
      this.player.finish(this.samples, this.rate);
      this.save.href = this.player.audio.src;
      this.save.removeAttribute("aria-disabled");
    }
    stop() { if (!this.whole) { this.note.textContent = "stopped"; this.root.classList.add("sv-stopped"); } }
  }

  S.results = (element, props, watch, trigger, options) => {
    const root = element.querySelector(".sv-results");
    const listen = el("input", { type: "checkbox", checked: true });
    const cards = el("div", { class: "sv-cards" });
    const hint = "What is made plays here, while it is made.";
    const empty = el("p", { class: "sv-empty", role: "status" }, hint);
    root.append(el("div", { class: "sv-results-head" }, el("div", { class: "sv-label" }, "Result"), el("label", { class: "sv-check" }, listen, " play while it is made")), empty, cards);
    let jobs = [], live = null;

    const begin = (message) => {
      const source = S.sources[options.source];
      const job = { id: message.job, cards: message.takes.map((row) => new Card(row, message.rate, source ? source.name : "units")), nodes: [] };
      if (source && options.keep === 1) {
        const player = S.player("Source");
        job.nodes.push(el("article", { class: "sv-card sv-whole", "aria-label": "Source" }, el("div", { class: "sv-card-head" }, el("strong", {}, "Source"), el("span", { class: "sv-note" }, `${(source.samples.length / source.rate).toFixed(1)} s · as it came`)), el("progress", { max: 1, value: 1, "aria-hidden": "true" }), player.root, el("span", { class: "sv-save" }, "")));
        player.finish(source.samples, source.rate);
      }
      job.nodes.push(...job.cards.map((card) => card.root));
      jobs = [job, ...jobs];
      for (const old of jobs.splice(options.keep)) old.nodes.forEach((node) => { node.querySelectorAll("audio").forEach((audio) => { audio.pause(); URL.revokeObjectURL(audio.src); }); node.remove(); });
      empty.hidden = true;
      cards.hidden = false;
      cards.prepend(...job.nodes);
      if (live) live.close();
      live = listen.checked ? new Live(message.rate) : null;
      return job;
    };

    watch("value", () => {
      if (!props.value) return;
      const message = JSON.parse(props.value);
      const job = jobs[0] && jobs[0].id === message.job ? jobs[0] : begin(message);
      message.takes.forEach((row, i) => {
        const fresh = job.cards[i].update(row);
        if (i === 0 && live && listen.checked) live.add(fresh);
      });
    });
    listen.addEventListener("change", () => { if (!listen.checked && live) { live.close(); live = null; } });
    // From the click until the first message or the end, say that the job waits.
    let busy = false;
    const wait = () => {
      if (busy) return;
      busy = true;
      if (live) live.close();
      empty.textContent = "Waiting for a free processor …";
      empty.hidden = false;
      cards.hidden = options.keep === 1;
    };
    const end = () => {
      busy = false;
      empty.textContent = hint;
      empty.hidden = jobs.length > 0;
      cards.hidden = false;
    };
    document.addEventListener("click", (event) => {
      if (event.target.closest && event.target.closest(options.starts)) wait();
    });
    S.players[options.name] = { end, stop() { end(); if (live) live.close(); live = null; if (jobs[0]) jobs[0].cards.forEach((card) => card.stop()); } };
  };

  S.end = (name) => { if (S.players[name]) S.players[name].end(); };
  S.stop = (name) => { if (S.players[name]) S.players[name].stop(); };
})();
