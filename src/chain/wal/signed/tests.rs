use super::super::corpus::{self, HALTED, HALTED_STATES, ROUNDS, ROUNDS_STATES};
use super::super::view::signature_of;
use super::*;

fn state(node: usize) -> &'static str {
    std::str::from_utf8(HALTED_STATES[node]).unwrap()
}

#[test]
fn what_a_state_gives_is_what_the_log_has() {
    let (halted, rounds) = (corpus::halted(), corpus::rounds());
    let halted = HALTED_STATES.iter().zip(HALTED).enumerate().map(|(node, files)| (node, files, &halted));
    let rounds = ROUNDS_STATES.iter().zip(ROUNDS).enumerate().map(|(node, files)| (node, files, &rounds));
    for (node, (state, log), validators) in halted.chain(rounds) {
        let signed = corpus::spoken(state, node, validators);
        let records = corpus::records(log);
        let own = records.iter().find(|record| signature_of(record) == Some(signed.signature())).unwrap();
        assert_eq!(own.consensus(), Some(&signed.message()), "node {node}");
    }
}

#[test]
fn a_proposal_is_rebuilt_as_well() {
    let validators = corpus::halted();
    let records = corpus::records(HALTED[3]);
    let proposals = records.iter().filter_map(|record| match record.consensus()?.sum.as_ref()? {
        Inner::Proposal(inner) => inner.proposal.clone(),
        _ => None,
    });
    for proposal in proposals {
        let bytes = hex::encode(super::super::validators::proposal_sign_bytes(&proposal, "corpus-halted"));
        let signature = STANDARD.encode(&proposal.signature);
        let height = proposal.height;
        let json =
            format!(r#"{{"height":"{height}","round":0,"step":1,"signature":"{signature}","signbytes":"{bytes}"}}"#);
        assert_eq!(last(&json, "", &validators), Ok(Some(Signed::Proposal(proposal))));
    }
}

#[test]
fn a_new_signer_has_signed_nothing() {
    assert_eq!(last(r#"{"height":"0","round":0,"step":0}"#, "AB", &corpus::halted()), Ok(None));
}

#[test]
fn what_cannot_be_told_is_an_error() {
    let validators = corpus::halted();
    let address = |node: usize| validators.list()[node].address.as_str();
    let refused = |json: &str, address: &str| last(json, address, &validators).unwrap_err();
    assert_eq!(
        refused(&state(1).replace("\"step\": 2", "\"step\": 3"), address(1)),
        "signbytes of another height, round or step"
    );
    assert_eq!(
        refused(&state(1).replace("\"height\": \"3\"", "\"height\": \"4\""), address(1)),
        "signbytes of another height, round or step"
    );
    assert_eq!(refused(state(1), address(2)), "the signature isn't this validator's");
    assert_eq!(refused(state(1), "AB"), "not a validator of this height");
    assert_eq!(refused(r#"{"height":"3","round":0,"step":2}"#, address(1)), "no signbytes in it");
    let foreign = Validators::new("other-1", validators.list().to_vec());
    assert_eq!(last(state(1), address(1), &foreign).unwrap_err(), r#"signed for the chain "corpus-halted""#);
}

#[test]
fn no_changed_character_gives_another_vote() {
    let validators = corpus::halted();
    let address = &validators.list()[1].address;
    let genuine = last(state(1), address, &validators);
    for at in 0..state(1).len() {
        for character in ['0', '7', 'A'] {
            let mut json = state(1).to_string();
            json.replace_range(at..=at, &character.to_string());
            let changed = last(&json, address, &validators);
            assert!(changed.is_err() || changed == genuine, "{json}");
        }
    }
}
