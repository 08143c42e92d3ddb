use super::*;

fn answer(host: &str, stdout: &str, end: End) -> Answer {
    Answer { host: host.into(), stdout: stdout.into(), stderr: Vec::new(), end }
}

fn reason(message: &str, hint: &str) -> Reason {
    Reason { message: message.into(), hint: Some(hint.into()) }
}

#[test]
fn equal_answers_are_folded() {
    let mut answers: Vec<Answer> = (1..=7).map(|n| answer(&format!("val-{n}"), "v1.4.2\n", End::Exit(0))).collect();
    assert_eq!(exec_text(&answers, 0.4, false), "val-[1-7]  v1.4.2\n7 of 7 answered in 0.4 s; all alike\n");
    answers[0].stdout = b"v1.4.1\n".into();
    let text = "val-[2-7]  v1.4.2\nval-1      v1.4.1\n7 of 7 answered in 0.4 s; 2 different answers\n";
    assert_eq!(exec_text(&answers, 0.42, false), text);
}

#[test]
fn what_needs_attention_comes_last_with_what_to_do() {
    let trust = |n: u8| End::Failed(reason("host key not recorded", &format!("fleet trust val-{n}")));
    let mut failed = answer("val-2", "out\n", End::Exit(3));
    failed.stderr = b"no\x1b[2J\nmore\n".into();
    let answers = [
        answer("val-1", "a\n", End::Unknown(reason("the link died", "look at the host"))),
        failed,
        answer("val-3", "", trust(3)),
        answer("val-4", "", trust(4)),
        answer("val-5", "one\n\ntwo", End::Exit(0)),
        answer("val-6", "", End::Exit(0)),
    ];
    let text = "\
val-5
  one

  two
val-6      (no output)
val-2      exit 3
  out
  stderr: no\\x1b[2J
  stderr: more
val-[3-4]  failed: host key not recorded
val-1      unknown: the link died
  a
next: look at the host
next: fleet trust val-[3-4]
3 of 6 answered in 10.0 s; 3 different answers; 1 ended with an error; 2 failed; 1 unknown
";
    assert_eq!(exec_text(&answers, 10.0, false), text);
    assert!(exec_text(&answers, 10.0, true).contains("\u{1b}["));
}

#[test]
fn programs_get_one_row_a_host() {
    let row = answer("a", "x\n", End::Unknown(reason("gone", "look"))).json();
    let expected = json!({"host": "a", "exit": null, "stdout": "x\n", "stderr": "", "error": "gone", "hint": "look", "unknown": true});
    assert_eq!(row, expected);
    let odd = Answer { stdout: vec![0xff], ..answer("a", "", End::Exit(3)) };
    assert_eq!((&odd.json()["stdout"], &odd.json()["exit"]), (&json!("\u{fffd}"), &json!(3)));
}
