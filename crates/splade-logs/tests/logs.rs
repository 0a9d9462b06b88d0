//! Checks logs as a run writes them, with readers that are part of these tests.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;

use serde_json::Value;
use splade_logs::{
    BestValue, EndKind, Expansion, LogOptions, LoggedRun, Logs, RunEnd, RunInfo, Status,
    WandbOptions, default_logging_dir, report_html,
};

/// Logs a run of the given steps with every kind of record.
fn run(options: &LogOptions, steps: std::ops::RangeInclusive<u64>) -> Logs {
    let mut logs = Logs::open(options).unwrap();
    logs.text("args", "{\"seed\": 42}");
    for step in steps {
        let values = [("loss", 8.0 / step as f64), ("lambda_q", 0.125)];
        logs.train(step, step as f64 / 2.0, &values).unwrap();
    }
    logs.eval(4, 2.0, &[("eval_loss", 0.25), ("eval_MRR@10", 0.75)]).unwrap();
    let terms = vec![("東京".to_owned(), 1.5), ("</script>".to_owned(), 0.1)];
    logs.expansions(4, vec![Expansion { side: "query", text: "<b>朝".to_owned(), terms }]).unwrap();
    logs.summary(4, &[("train_loss", 0.5)]).unwrap();
    logs.flush().unwrap();
    logs
}

fn options(folder: &Path) -> LogOptions {
    LogOptions { json: folder.join("log.jsonl"), ..LogOptions::default() }
}

/// A field of a protobuf message: the value of a varint, the bits of a number, or bytes.
#[derive(Debug, Clone)]
enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

impl Field {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Number(_) => panic!("a number"),
        }
    }

    fn number(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            Self::Bytes(_) => panic!("bytes"),
        }
    }
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(length);
    *bytes = rest;
    taken
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = take(bytes, 1)[0];
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

fn message(mut bytes: &[u8]) -> BTreeMap<u64, Field> {
    let mut fields = BTreeMap::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Number(varint(&mut bytes)),
            1 => Field::Number(u64::from_le_bytes(take(&mut bytes, 8).try_into().unwrap())),
            2 => {
                let length = varint(&mut bytes) as usize;
                Field::Bytes(take(&mut bytes, length).to_vec())
            }
            5 => Field::Number(u64::from(u32::from_le_bytes(
                take(&mut bytes, 4).try_into().unwrap(),
            ))),
            other => panic!("wire type {other}"),
        };
        assert!(fields.insert(key >> 3, field).is_none(), "field {} twice", key >> 3);
    }
    fields
}

/// Returns the CRC-32C computed bit by bit, masked as TFRecord requires.
fn masked_crc(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 };
        }
    }
    let crc = !crc;
    crc.rotate_right(15).wrapping_add(0xA282_EAD8)
}

fn events(folder: &Path) -> Vec<BTreeMap<u64, Field>> {
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let bytes = fs::read(&files[0]).unwrap();
    let mut bytes = bytes.as_slice();
    let mut events = Vec::new();
    while !bytes.is_empty() {
        let length = take(&mut bytes, 8);
        assert_eq!(take(&mut bytes, 4), masked_crc(length).to_le_bytes());
        let data = take(&mut bytes, u64::from_le_bytes(length.try_into().unwrap()) as usize);
        assert_eq!(take(&mut bytes, 4), masked_crc(data).to_le_bytes());
        events.push(message(data));
    }
    events
}

#[test]
fn tensorboard_has_every_number_under_its_tag() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs/one");
    drop(run(&LogOptions { tensorboard: Some(runs.clone()), ..options(folder.path()) }, 1..=4));
    let events = events(&runs);
    assert_eq!(events[0][&3].bytes(), b"brain.Event:2");
    let mut scalars = Vec::new();
    let mut texts = Vec::new();
    for event in &events[1..] {
        assert!(f64::from_bits(event[&1].number()) > 1.7e9, "wall time");
        let step = event.get(&2).map_or(0, Field::number);
        let value = message(message(event[&5].bytes())[&1].bytes());
        let tag = String::from_utf8(value[&1].bytes().to_vec()).unwrap();
        match value.get(&2) {
            Some(number) => scalars.push((tag, step, f32::from_bits(number.number() as u32))),
            None => texts.push((tag, message(value[&8].bytes())[&8].bytes().to_vec())),
        }
    }
    let mut expected = Vec::new();
    for (step, loss) in [(1, 8.0), (2, 4.0), (3, 8.0_f32 / 3.0), (4, 2.0)] {
        expected.push(("train/loss", step, loss));
        expected.push(("train/lambda_q", step, 0.125));
        expected.push(("train/epoch", step, step as f32 / 2.0));
    }
    expected.push(("eval/loss", 4, 0.25));
    expected.push(("eval/MRR@10", 4, 0.75));
    expected.push(("train/epoch", 4, 2.0));
    expected.push(("train/train_loss", 4, 0.5));
    expected.push(("train/epoch", 4, 2.0));
    let scalars: Vec<_> = scalars.iter().map(|(tag, step, v)| (tag.as_str(), *step, *v)).collect();
    assert_eq!(scalars, expected);
    assert_eq!(texts, [("args/text_summary".to_owned(), b"{\"seed\": 42}".to_vec())]);
}

#[test]
fn equal_runs_have_logs_that_differ_in_time_only() {
    let without_time = |folder: &Path| -> Vec<String> {
        let log = fs::read_to_string(folder.join("log.jsonl")).unwrap();
        let record = |line| {
            let mut record: Value = serde_json::from_str(line).unwrap();
            assert!(record.as_object_mut().unwrap().shift_remove("time").unwrap().is_number());
            record.to_string()
        };
        log.lines().map(record).collect()
    };
    let [straight, resumed] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    drop(run(&options(straight.path()), 1..=4));
    // The run is killed after step 4 and resumed after step 2.
    drop(run(&options(resumed.path()), 1..=4));
    drop(run(&LogOptions { resumed_step: Some(2), ..options(resumed.path()) }, 3..=4));
    let expected = without_time(straight.path());
    assert_eq!(expected.len(), 8);
    assert_eq!(without_time(resumed.path()), expected);
}

/// Returns the only run of Weights & Biases in a folder: its file, and the values of its rows.
fn wandb_rows(folder: &Path) -> (std::path::PathBuf, Vec<BTreeMap<String, String>>) {
    let runs: Vec<_> = fs::read_dir(folder).unwrap().map(|run| run.unwrap().path()).collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    let files: Vec<_> = fs::read_dir(&runs[0]).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let file = fs::read(&files[0]).unwrap();
    let mut bytes = &file[7..];
    let mut rows = Vec::new();
    while !bytes.is_empty() {
        let head = take(&mut bytes, 7);
        assert_eq!(head[6], 1, "these records are small");
        let record = take(&mut bytes, usize::from(u16::from_le_bytes([head[4], head[5]])));
        // Record.history, whose fields 1 are the values.
        let Some(history) = message(record).remove(&2) else { continue };
        let mut items = history.bytes();
        let mut row = BTreeMap::new();
        while varint(&mut items) == (1 << 3 | 2) {
            let length = varint(&mut items) as usize;
            let item = message(take(&mut items, length));
            let text = |field: u64| String::from_utf8(item[&field].bytes().to_vec()).unwrap();
            row.insert(text(2), text(16));
        }
        rows.push(row);
    }
    (files[0].clone(), rows)
}

#[test]
fn a_resumed_run_of_wandb_has_every_row_once() {
    let [straight, resumed] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let options = |folder: &Path, resumed_step| LogOptions {
        wandb: Some(WandbOptions {
            folder: folder.join("wandb"),
            project: "toys".to_owned(),
            entity: None,
            run: None,
        }),
        resumed_step,
        ..options(folder)
    };
    drop(run(&options(straight.path(), None), 1..=4));
    drop(run(&options(resumed.path(), None), 1..=4));
    let (file, _) = wandb_rows(&resumed.path().join("wandb"));
    drop(run(&options(resumed.path(), Some(2)), 3..=4));
    let (again, mut rows) = wandb_rows(&resumed.path().join("wandb"));
    assert_eq!(again, file);
    let (_, mut wanted) = wandb_rows(&straight.path().join("wandb"));
    let steps: Vec<_> = wanted.iter().map(|row| row["train/global_step"].as_str()).collect();
    assert_eq!(steps, ["1", "2", "3", "4", "4"]);
    assert_eq!(wanted[0]["train/loss"], "8");
    assert_eq!(wanted[4]["eval/MRR@10"], "0.75");
    for row in rows.iter_mut().chain(&mut wanted) {
        assert!(row.remove("_timestamp").is_some() && row.remove("_runtime").is_some());
    }
    assert_eq!(rows, wanted);
}

#[cfg(target_os = "linux")]
#[test]
fn what_text_could_not_write_is_told_by_the_next_call() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("log.jsonl");
    std::os::unix::fs::symlink("/dev/full", &json).unwrap();
    let mut logs = Logs::open(&LogOptions { json, ..LogOptions::default() }).unwrap();
    logs.text("args", "x");
    let error = logs.flush().unwrap_err().to_string();
    assert!(error.contains("log.jsonl"), "{error}");
}

#[test]
fn the_default_folder_is_named_as_transformers_does() {
    let folder = default_logging_dir(Path::new("out"));
    let name = folder.strip_prefix("out/runs").unwrap().to_str().unwrap();
    let (date, machine) = name.split_at("Nov14_22-13-20".len());
    assert!(date.is_char_boundary(5) && date.as_bytes()[5] == b'_' && machine.len() > 1, "{name}");
}

/// Sends bytes to the page's server and reads until it closes the connection.
fn ask(address: SocketAddr, request: &[u8]) -> String {
    let mut server = TcpStream::connect(address).unwrap();
    let _ = server.write_all(request);
    let mut answer = Vec::new();
    // A refusal may close the connection before everything has been sent.
    let _ = server.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn get(address: SocketAddr, target: &str) -> (String, String) {
    let request = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let answer = ask(address, request.as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").expect(&answer);
    let length = format!("Content-Length: {}", body.len());
    assert!(head.contains(&length), "{head}");
    (head["HTTP/1.1 ".len()..][..3].to_owned(), body.to_owned())
}

fn data(address: SocketAddr, since: u64) -> Value {
    let (status, body) = get(address, &format!("/data?since={since}"));
    assert_eq!(status, "200");
    serde_json::from_str(&body).unwrap()
}

fn kinds(data: &Value) -> Vec<&str> {
    let records = data["records"].as_array().unwrap().iter();
    records.map(|record| record["kind"].as_str().unwrap()).collect()
}

#[test]
fn the_page_gets_the_log_as_it_grows() {
    let folder = tempfile::tempdir().unwrap();
    let with_page = LogOptions { dashboard: Some(0), ..options(folder.path()) };
    let mut logs = run(&with_page, 1..=2);
    let address = logs.dashboard_address().unwrap();
    assert!(address.ip().is_loopback());

    let first = data(address, 0);
    assert_eq!(kinds(&first), ["text", "train", "train", "eval", "expansions", "summary"]);
    assert_eq!(first["records"][4]["samples"][0]["terms"][0][1], 1.5);
    assert_eq!(first["status"], Value::Null);
    let next = first["next"].as_u64().unwrap();
    assert_eq!(kinds(&data(address, next)), [""; 0]);

    logs.train(5, 2.5, &[("loss", f64::NAN)]).unwrap();
    let status = Status { phase: "training", step: 5, total: 9, ..Status::default() };
    logs.status(Status { loss: Some(0.5), tokens_per_second: Some(f64::NAN), ..status });
    let second = data(address, next);
    assert_eq!(kinds(&second), ["train"]);
    assert_eq!(second["from"], next);
    assert_eq!(second["run"], first["run"]);
    assert_eq!(second["records"][0]["loss"], Value::Null);
    assert_eq!(
        second["status"],
        serde_json::json!({"phase": "training", "step": 5, "total": 9, "loss": 0.5,
            "tokens_per_second": null, "seconds_left": null})
    );

    // The page of a resumed run has the curves from the beginning.
    drop(logs);
    assert!(TcpStream::connect(address).is_err(), "served after the end");
    let resumed = Logs::open(&LogOptions { resumed_step: Some(2), ..with_page }).unwrap();
    let whole = data(resumed.dashboard_address().unwrap(), 0);
    assert_eq!(kinds(&whole), ["text", "train", "train"]);
    assert_ne!(whole["run"], first["run"]);
}

/// Returns the report of a log, whose run is not going on.
fn report(log: &Path) -> Result<String, splade_logs::LogError> {
    report_html(LoggedRun { log, name: "a run", running: false }, None, 1_700_000_000)
}

/// Returns the JSON block of a page.
fn block(html: &str) -> Value {
    let json = html.split("id=\"records\">").nth(1).unwrap();
    serde_json::from_str(json.split("</script>").next().unwrap()).unwrap()
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let logs = run(&LogOptions { dashboard: Some(0), ..options(folder.path()) }, 1..=4);
    let (status, page) = get(logs.dashboard_address().unwrap(), "/");
    assert_eq!(status, "200");
    let report = report(&folder.path().join("log.jsonl")).unwrap();
    for html in [&page, &report] {
        assert!(html.contains("polyline") && html.contains("color-scheme: light dark"));
        let links = html.split("http").count() - 1;
        // The content security policy and the namespace of SVG are not links.
        assert_eq!(
            links,
            html.matches("http-equiv").count() + html.matches("http://www.w3.org/2000/svg").count()
        );
        for word in ["src=", "@import", "url("] {
            assert!(!html.contains(word), "{word}");
        }
        assert_eq!(html.matches("href=").count(), html.matches("href=\"data:,\"").count());
        // No text of a record may end a script element: there are three scripts and the records.
        assert_eq!(html.matches("</script>").count(), 4);
    }
    assert_eq!(block(&page)["how"], "live");
    let records = &block(&report)["runs"][0]["records"];
    assert_eq!(records.as_array().unwrap().len(), 8);
    assert_eq!(records[6]["samples"][0]["terms"][1][0], "</script>");
}

#[test]
fn reports_say_what_was_run_and_how_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    let info = RunInfo {
        command: "pretrain".to_owned(),
        config: Some("toy <config>".to_owned()),
        model: "models/demo".to_owned(),
        data: "data/toy".to_owned(),
        version: "0.1.0".to_owned(),
        steps: 4,
    };
    let end = |outcome, message: Option<&str>| RunEnd {
        outcome,
        step: 4,
        best: Some(BestValue { metric: "eval_MRR@10".to_owned(), value: 0.75, step: 4 }),
        message: message.map(str::to_owned),
    };
    let mut resumed = None;
    for (outcome, title) in [
        (EndKind::Finished, "Pre-training, toy &lt;config&gt;: finished"),
        (EndKind::Stopped, "Pre-training, toy &lt;config&gt;: stopped"),
        (EndKind::Failed, "Pre-training, toy &lt;config&gt;: failed"),
    ] {
        let mut logs =
            Logs::open(&LogOptions { resumed_step: resumed, ..options(folder.path()) }).unwrap();
        logs.run(&info);
        logs.train(1, 0.5, &[("loss", 2.0)]).unwrap();
        logs.warning(1, "queries are <empty>", Some("lower lambda_q"));
        // A run that goes on, or was killed, has no end.
        let html = report(&log).unwrap();
        assert!(html.contains(": ended without a result</title>"), "{title}");
        let running = LoggedRun { log: &log, name: "a run", running: true };
        assert!(report_html(running, None, 0).unwrap().contains(": running</title>"));
        logs.end(&end(outcome, Some("no space left"))).unwrap();
        let html = report(&log).unwrap();
        assert!(html.contains(&format!("<title>{title}</title>")), "{title}");
        for fact in ["models/demo", "data/toy", "light-splade 0.1.0", "2023-11-14 22:13 UTC"] {
            assert!(html.contains(fact), "{fact}");
        }
        let block = block(&html);
        let records = block["runs"][0]["records"].as_array().unwrap();
        let kinds: Vec<&str> = records.iter().map(|one| one["kind"].as_str().unwrap()).collect();
        // A resumed run removes what came after its step, and says what is trained only once.
        assert_eq!(kinds, ["run", "train", "warning", "end"], "{title}");
        assert_eq!(records[2]["message"], "queries are <empty>");
        assert_eq!(records[3]["best"]["value"], 0.75);
        resumed = Some(0);
    }
    let second = LoggedRun { log: &log, name: "another", running: false };
    let both = report_html(LoggedRun { name: "first", ..second }, Some(second), 0).unwrap();
    assert_eq!(block(&both)["runs"][1]["name"], "another");
}

#[test]
fn an_open_page_gets_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let with_page = LogOptions { dashboard: Some(0), ..options(folder.path()) };
    let mut logs = run(&with_page, 1..=2);
    let address = logs.dashboard_address().unwrap();
    let next = data(address, 0)["next"].as_u64().unwrap();
    let (say, said) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // The page asks again and again, as its script does.
            loop {
                let new = data(address, next);
                if kinds(&new) == ["end"] {
                    say.send(new["records"][0]["outcome"].clone()).unwrap();
                    return;
                }
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        });
        let end = RunEnd { outcome: EndKind::Finished, step: 2, best: None, message: None };
        logs.end(&end).unwrap();
        drop(logs);
        assert_eq!(said.recv().unwrap(), "finished");
    });
}

#[test]
fn reports_of_no_log_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    assert!(report(&log).unwrap_err().to_string().contains("log.jsonl"));
    fs::write(&log, "{\"kind\":\"train\",\"step\":1}\nx\n{\"kind\":\"train\",\"step\":2}\n")
        .unwrap();
    assert!(report(&log).unwrap_err().to_string().contains("log.jsonl:2: "));
    fs::write(&log, "").unwrap();
    assert_eq!(block(&report(&log).unwrap())["runs"][0]["records"], serde_json::json!([]));
}

#[test]
fn requests_that_are_not_for_the_page_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let logs = run(&LogOptions { dashboard: Some(0), ..options(folder.path()) }, 1..=4);
    let address = logs.dashboard_address().unwrap();
    assert_eq!(get(address, "/healthz"), ("200".to_owned(), "ok\n".to_owned()));
    for (target, expected) in [
        ("/nothing", "404"),
        ("/../etc/passwd", "404"),
        ("/data", "200"),
        ("/data?since=-1", "400"),
        ("/data?since=99999999999999999999999", "400"),
        ("/data?since=7", "200"),
    ] {
        assert_eq!(get(address, target).0, expected, "{target}");
    }
    let long = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &[b'x'; 60_000]].concat();
    for (request, expected) in [
        (b"POST /data HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc".as_slice(), "HTTP/1.1 405"),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", "HTTP/1.1 403"),
        (b"\x16\x03\x01\xFF\x00\r\n\r\n", "HTTP/1.1 400"),
        (b"\r\n\r\n", "HTTP/1.1 400"),
    ] {
        let answer = ask(address, request);
        assert!(answer.starts_with(expected), "{request:?}: {answer}");
    }
    // The response may be lost because the client is still sending when the server closes.
    ask(address, &long);
    assert_eq!(get(address, "/healthz").0, "200");
}

#[test]
fn silent_clients_hold_up_neither_the_run_nor_the_page_for_long() {
    let folder = tempfile::tempdir().unwrap();
    let mut logs = run(&LogOptions { dashboard: Some(0), ..options(folder.path()) }, 1..=4);
    let address = logs.dashboard_address().unwrap();
    let mut silent: Vec<_> = (0..20).map(|_| TcpStream::connect(address).unwrap()).collect();
    // Clients beyond the limit are closed at once.
    for client in &mut silent[8..] {
        assert!(!matches!(client.read(&mut [0]), Ok(1..)));
    }
    for step in 5..50 {
        logs.train(step, 3.0, &[("loss", 1.0)]).unwrap();
        logs.status(Status { step, ..Status::default() });
    }
    drop(silent);
    // Places become free as soon as their threads notice that the clients have gone.
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let served = (0..1000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(5));
        ask(address, request.as_bytes()).ends_with("ok\n")
    });
    assert!(served);
}

#[test]
fn a_port_that_is_taken_is_an_error_before_a_file_changes() {
    let folder = tempfile::tempdir().unwrap();
    drop(run(&options(folder.path()), 1..=4));
    let before = fs::read(folder.path().join("log.jsonl")).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let options = LogOptions { dashboard: Some(port), ..options(folder.path()) };
    let error = Logs::open(&options).unwrap_err();
    assert!(error.to_string().contains(&port.to_string()) && error.hint().is_some(), "{error}");
    assert_eq!(fs::read(folder.path().join("log.jsonl")).unwrap(), before);
}
