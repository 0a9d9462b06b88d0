"""Makes the demo model: python scripts/reference/demo_model.py models/demo

The model is a tiny bilingual SPLADE model, trained from scratch on the sentences below, which were all invented for
it. It learns to activate, for each sentence, the words of the sentence and those of its partner, a sentence with the
same meaning. It demonstrates the tool and is not meant for real search. The program takes about a minute with one
thread and needs requirements.txt. It also writes expected.json with vectors of the sentences in f64.
"""
import json, os, random, shutil, sys, unicodedata
import torch
from transformers import BertConfig, BertForMaskedLM, BertJapaneseTokenizer

PAIRS = """the train to tokyo leaves in the morning|take the early railway to the capital city
a cheap hotel near the station|low price rooms for travel close to the railway
fresh bread and coffee for breakfast|a warm morning meal with milk and bread
cook the soup with rice and fish|a simple recipe for dinner with fish
rain and strong wind are coming|the weather will be stormy with rain
the sky is clear and sunny today|fine weather with a bright sun
write a program in rust|code software with a fast language
the computer runs the software|a machine that executes a program
the doctor treats a cold|a hospital visit for medicine and health
run in the park every day|exercise outside is good for health
東京行きの電車は朝に出ます|朝早い鉄道で首都へ行く
駅の近くの安いホテル|鉄道に近い手頃な宿に泊まる旅行
朝食に新しいパンとコーヒー|牛乳とパンの温かい朝の食事
魚と米でスープを作る|魚を使う簡単な夕食の料理
強い風と雨が来る|天気は嵐で雨が降る
今日の空は晴れている|明るい太陽で良い天気
言語でプログラムを書く|速いソフトウェアを開発する
計算機がソフトウェアを実行する|プログラムを動かす機械
医者が風邪を治す|病院で薬をもらい健康になる
毎日公園を走る|外の運動は健康に良い""".splitlines()


def main(out):
    torch.manual_seed(7); random.seed(7); torch.set_num_threads(1)
    os.makedirs(out, exist_ok=True)
    pairs = [line.split("|") for line in PAIRS]
    texts = [text for pair in pairs for text in pair]
    vocab_file = os.path.join(out, "vocab.txt")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    settings = dict(word_tokenizer_type="mecab", subword_tokenizer_type="wordpiece", do_lower_case=True,
                    mecab_kwargs={"mecab_dic": "unidic_lite"}, model_max_length=64)
    open(vocab_file, "w", encoding="utf-8").write("\n".join(special) + "\n")
    splitter = BertJapaneseTokenizer(vocab_file, **settings).word_tokenizer
    words = sorted({word for text in texts for word in splitter.tokenize(text)})
    chars = sorted({c for word in words for c in word} | set("abcdefghijklmnopqrstuvwxyz0123456789"))
    pieces = special + list(dict.fromkeys(words + chars + ["##" + c for c in chars]))
    open(vocab_file, "w", encoding="utf-8").write("\n".join(pieces) + "\n")
    tokenizer = BertJapaneseTokenizer(vocab_file, **settings)
    config = BertConfig(vocab_size=len(pieces), hidden_size=48, num_hidden_layers=2, num_attention_heads=4,
                        intermediate_size=96, max_position_embeddings=64, type_vocab_size=1, initializer_range=0.12,
                        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model = BertForMaskedLM(config)
    stop = {"the", "a", "to", "in", "is", "and", "for", "with", "の", "は", "が", "を", "に", "へ", "と", "で", "て", "い", "ます", "です"}
    ids = [tokenizer(text)["input_ids"] for text in texts]
    target = torch.zeros(len(texts), len(pieces))
    for i, text in enumerate(texts):
        for j in (i, i ^ 1):
            for token in ids[j][1:-1]:
                weight = 1.5 if j == i else 0.8
                if pieces[token] not in stop: target[i, token] = max(target[i, token], weight)
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for step in range(2500):
        for group in optimizer.param_groups: group["lr"] = 2e-3 * min(1, step / 100, (2500 - step) / 500)
        model.train()
        # Some words are hidden, so that the model learns to read a sentence from any of its words.
        hidden = (torch.rand(batch["input_ids"].shape) < 0.3) & (batch["input_ids"] > 3)
        inputs = batch["input_ids"].masked_fill(hidden, tokenizer.unk_token_id)
        logits = model(input_ids=inputs, attention_mask=batch["attention_mask"]).logits.masked_fill(~batch["attention_mask"].bool()[..., None], -1e4)
        best = logits.amax(1)
        # The loss has two parts: whether a term is active (a dead logit gets no gradient through relu), and its weight.
        active = torch.nn.functional.binary_cross_entropy_with_logits(best, (target > 0).float(), reduction="none")
        loss = active.sum(1).mean() + ((torch.log1p(torch.relu(best)) - target) ** 2).sum(1).mean()
        optimizer.zero_grad(); loss.backward(); optimizer.step()
    model.eval().half().save_pretrained(out, safe_serialization=True)
    tokenizer.save_pretrained(out)
    for name in ("special_tokens_map.json", "added_tokens.json"):
        if os.path.exists(f"{out}/{name}"): os.remove(f"{out}/{name}")
    double = BertForMaskedLM.from_pretrained(out, torch_dtype=torch.float64).eval()
    rows = []
    for text in texts + ["", "Cheap travel to TOKYO!", "ｶﾀｶﾅ と 雨\u3000[MASK] 😀", "雨 " * 100]:
        encoded = tokenizer(text, truncation=True, max_length=64, return_tensors="pt")
        with torch.no_grad(): logits = double(**encoded).logits[0]
        best, position = logits.max(0)
        weights = torch.log1p(torch.relu(best)); total = torch.log1p(torch.relu(logits)).sum(0)
        index = weights.nonzero()[:, 0]
        first = [(logits[:, i] == best[i]).nonzero()[0].item() for i in index]
        rows.append({"text": text, "input_ids": encoded["input_ids"][0].tolist(), "terms": index.tolist(),
                     "max": [float(f"{x:.7g}") for x in weights[index]], "sum": [float(f"{x:.7g}") for x in total[index]], "positions": first})
    with open(f"{out}/expected.json", "w", encoding="utf-8") as f:
        f.write("[" + ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows) + "]\n")
    print("loss", loss.item(), "terms a text", sum(len(r["terms"]) for r in rows) / len(rows))


main(sys.argv[1])
