#!/usr/bin/env bash
# Texts a second, first vector and peak memory of encode, beside the Python light-splade.
# What: passages of 60-128 tokens, batch 32, two threads. Needs the Python peers: PEERS_HOME with
# models, passages and a venv, and PEERS with their encode.py. Prints one block a model.
set -euo pipefail
cd "$(dirname "$0")/../.."
PEERS_HOME=${PEERS_HOME:-$HOME/.cache/splade-peers}
PEERS=${PEERS:-../shared/peers}
cargo build --release --locked --quiet
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for entry in splade-tiny:en:512 small-28m:ja:512 base-en:en:128; do
    IFS=: read -r model language count <<<"$entry"
    echo "== $model, $count passages"
    head -n "$count" "$PEERS_HOME/data/passages_$language.ndjson" >"$work/texts.ndjson"
    for precision in f32 int8; do
        echo "this, $precision:"
        /usr/bin/time -f "%e s, %M KB" target/release/light-splade encode --model "$PEERS_HOME/models/$model" \
            --threads 2 --max-length 128 --precision "$precision" --output "$work/out.ndjson" "$work/texts.ndjson"
    done
    echo "this, one text from process start:"
    /usr/bin/time -f "%e s" target/release/light-splade encode --model "$PEERS_HOME/models/$model" \
        --text hello --output "$work/out.ndjson"
    echo "light-splade (Python):"
    (cd "$PEERS" && "$PEERS_HOME/venv/bin/python" encode.py --impl light_splade --model "$model" \
        --n "$count" --repeat 1 --threads 2 --batch 32 --maxlen 128 2>/dev/null | grep RESULT)
done
