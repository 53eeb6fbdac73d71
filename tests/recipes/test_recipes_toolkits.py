"""Exported units train in toolkits that exist: lhotse's samplers feed a CTC loop, datasets feed a transformer."""

import numpy as np
import pytest
import torch
from spoken_units import K, export_language

from speechvq.batch import torch_threads
from speechvq.metrics.edits import edit_distance

import ctc  # isort: skip  (spoken_units puts the recipes on the path)


@pytest.fixture(autouse=True)
def one_thread():
    torch.manual_seed(0)
    with torch_threads(1):
        yield


class CutsToUnits(torch.utils.data.Dataset):
    """What a lhotse sampler hands over, as padded units and texts."""

    def __getitem__(self, cuts):
        from lhotse.dataset.collation import collate_custom_field

        units, lengths = collate_custom_field(cuts, "units", pad_value=0)
        return units, lengths.long(), [cut.supervisions[0].text for cut in cuts]


@pytest.mark.slow
def test_lhotse_samplers_feed_a_ctc_loop_without_k2(tmp_path):
    lhotse = pytest.importorskip("lhotse")
    from lhotse.dataset import DynamicBucketingSampler

    cuts, held_out = (
        lhotse.CutSet.from_file(export_language(tmp_path / name, "lhotse", count, seed) / "cuts.jsonl.gz").to_eager()
        for name, count, seed in (("train", 150, 1), ("test", 40, 2))
    )
    labels = ctc.Labels([cut.supervisions[0].text for cut in cuts], "words")
    budget = ctc.Budget(width=32, stride=2, dropout=0.1)
    model = ctc.Recogniser(K, False, len(labels.names), budget)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    sampler = DynamicBucketingSampler(cuts, max_duration=3.0, num_buckets=3, shuffle=True, seed=0)
    loader = torch.utils.data.DataLoader(CutsToUnits(), sampler=sampler, batch_size=None)
    for epoch in range(20):
        sampler.set_epoch(epoch)
        for units, lengths, texts in loader:
            scores, counts = model(units, lengths)
            targets = [torch.tensor(labels.numbers(text)) for text in texts]
            sizes = torch.tensor([len(target) for target in targets])
            loss = torch.nn.functional.ctc_loss(scores.transpose(0, 1), torch.cat(targets), counts, sizes)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    inputs = [cut.load_units().astype(np.int64) for cut in held_out]
    texts = [cut.supervisions[0].text for cut in held_out]
    found = ctc.recognise(model.eval(), ctc.Examples([cut.id for cut in held_out], inputs, texts, K), labels)
    wrong = sum(edit_distance(text.split(), words) for text, words in zip(texts, found, strict=True))
    assert wrong / sum(len(text.split()) for text in texts) < 0.2


@pytest.mark.slow
def test_the_hugging_face_form_feeds_a_transformer(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    transformers = pytest.importorskip("transformers")

    def load(name, count, seed):
        folder = export_language(tmp_path / name, "hf", count, seed, dedup=True)
        return datasets.load_dataset(str(folder), cache_dir=tmp_path / "cache")["train"]

    data, held_out = load("train", 300, 1), load("test", 40, 2)
    words = sorted({word for text in data["text"] for word in text.split()})
    pad, end, first = 0, 1, 2
    numbers = {word: first + K + n for n, word in enumerate(words)}
    data = data.map(lambda row: {"labels": [numbers[word] for word in row["text"].split()] + [end]})
    config = transformers.T5Config(
        vocab_size=first + K + len(words), d_model=48, d_kv=12, d_ff=96, num_layers=2, num_heads=4, dropout_rate=0.0,
        pad_token_id=pad, eos_token_id=end, decoder_start_token_id=pad,
    )  # fmt: skip
    model = transformers.T5ForConditionalGeneration(config)

    def padded(rows, fill):
        return torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], True, fill)

    def inputs(rows):
        ids = padded([[unit + first for unit in units] for units in rows], pad)
        return dict(input_ids=ids, attention_mask=(ids != pad).long())

    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    losses = []
    for epoch in range(20):
        for batch in data.shuffle(seed=epoch).iter(20):
            loss = model(**inputs(batch["units"]), labels=padded(batch["labels"], -100)).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])
    model.eval()
    made = model.generate(**inputs(held_out["units"]), max_new_tokens=5, do_sample=False)
    names = {number: word for word, number in numbers.items()}
    found = [[names[n] for n in row if n in names] for row in made.tolist()]
    wrong = sum(edit_distance(text.split(), words) for text, words in zip(held_out["text"], found, strict=True))
    assert wrong / sum(len(text.split()) for text in held_out["text"]) < 0.5
