//! What a certificate must be made for: for all of them, and where the operator asks for more.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose,
};

use super::{World, by_sha256, params, presented, shown};
use crate::decide::RequiredUsage;
use crate::pki::{ANY_PURPOSE, key_usage_bit};

const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
const SMARTCARD_LOGON: &str = "1.3.6.1.4.1.311.20.2.2";

#[test]
fn only_a_client_certificate_is_one() {
    let with = |usages: &[ExtendedKeyUsagePurpose]| {
        let mut params = params("alice");
        params.extended_key_usages = usages.to_vec();
        params
    };
    let mut authority = params("alice");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, EmailProtection, ServerAuth};
    for (params, answer) in [
        (with(&[]), "200 mapped alice"),
        (with(&[ClientAuth]), "200 mapped alice"),
        (with(&[ServerAuth, ClientAuth]), "200 mapped alice"),
        (with(&[Any]), "200 mapped alice"),
        (with(&[ServerAuth]), "401 usage_not_allowed -"),
        (with(&[EmailProtection]), "401 usage_not_allowed -"),
        (authority, "401 usage_not_allowed -"),
    ] {
        let alice = shown(params);
        let world = World::new().map("alice", by_sha256(&alice));
        assert_eq!(world.ask(presented(&alice), ""), answer, "{:?}", alice.certificate.usage);
    }
}

/// The answer about a certificate of alice, changed, where that usage is required.
fn answer(required: &RequiredUsage, change: impl Fn(&mut CertificateParams)) -> String {
    let mut params = params("alice");
    change(&mut params);
    let alice = shown(params);
    let mut world = World::new().map("alice", by_sha256(&alice));
    world.policy.usage = required.clone();
    world.ask(presented(&alice), "")
}

/// What is said of that certificate.
fn why(required: &RequiredUsage, change: impl Fn(&mut CertificateParams)) -> String {
    let mut params = params("alice");
    change(&mut params);
    required.judge(&shown(params).certificate).unwrap_err().to_string()
}

const ALLOWED: &str = "200 mapped alice";
const DENIED: &str = "401 usage_not_allowed -";

fn purposes(oids: &[&str]) -> RequiredUsage {
    let extended_key_usage = oids.iter().map(|oid| (*oid).to_owned()).collect();
    RequiredUsage { extended_key_usage, ..RequiredUsage::default() }
}

fn bits(names: &[&str]) -> RequiredUsage {
    let key_usage = names.iter().fold(0, |all, name| all | key_usage_bit(name).unwrap());
    RequiredUsage { key_usage, ..RequiredUsage::default() }
}

fn policies(oids: &[&str]) -> RequiredUsage {
    let policies = oids.iter().map(|oid| (*oid).to_owned()).collect();
    RequiredUsage { policies, ..RequiredUsage::default() }
}

#[test]
fn every_required_purpose_must_be_named_by_the_certificate_itself() {
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, EmailProtection};
    let logon = || ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 2]);
    let both = purposes(&[CLIENT_AUTH, SMARTCARD_LOGON]);
    let client = purposes(&[CLIENT_AUTH]);
    for (required, usages, expected) in [
        (&client, vec![], DENIED),
        (&client, vec![ClientAuth], ALLOWED),
        (&client, vec![EmailProtection, ClientAuth], ALLOWED),
        (&client, vec![Any], DENIED),
        (&client, vec![EmailProtection, Any], DENIED),
        (&client, vec![ClientAuth, Any], ALLOWED),
        (&both, vec![ClientAuth], DENIED),
        (&both, vec![ClientAuth, Any], DENIED),
        (&both, vec![ClientAuth, logon()], ALLOWED),
        // What is asked of all holds besides: a logon certificate that is no client's stays out.
        (&purposes(&[SMARTCARD_LOGON]), vec![logon()], DENIED),
        (&purposes(&[SMARTCARD_LOGON]), vec![logon(), Any], ALLOWED),
        // Nothing asks for "any" by configuration; as a purpose it is one like the others.
        (&purposes(&[ANY_PURPOSE]), vec![ClientAuth], DENIED),
    ] {
        let change = |params: &mut CertificateParams| params.extended_key_usages = usages.clone();
        assert_eq!(answer(required, change), expected, "{usages:?} where {required:?}");
    }
}

#[test]
fn every_required_key_usage_must_be_there() {
    use KeyUsagePurpose::{ContentCommitment, DecipherOnly, DigitalSignature, KeyEncipherment};
    let signs = bits(&["digitalSignature"]);
    let both = bits(&["digitalSignature", "nonRepudiation"]);
    for (required, usages, expected) in [
        (&signs, vec![], DENIED),
        (&signs, vec![DigitalSignature], ALLOWED),
        (&signs, vec![DigitalSignature, KeyEncipherment], ALLOWED),
        (&signs, vec![ContentCommitment], DENIED),
        (&signs, vec![KeyEncipherment], DENIED),
        (&both, vec![DigitalSignature], DENIED),
        (&both, vec![ContentCommitment], DENIED),
        (&both, vec![DigitalSignature, ContentCommitment], ALLOWED),
        // The ninth bit is in an octet of its own.
        (&bits(&["decipherOnly"]), vec![DigitalSignature], DENIED),
        (&bits(&["decipherOnly"]), vec![DecipherOnly], ALLOWED),
    ] {
        let change = |params: &mut CertificateParams| params.key_usages = usages.clone();
        assert_eq!(answer(required, change), expected, "{usages:?} where {required:?}");
    }
}

/// The extension with the policies 1.2.3.4 (2a 03 04), 1.2.3.5, or any (2.5.29.32.0).
fn with_policies(params: &mut CertificateParams, oids: &[&[u8]]) {
    use crate::pki::forge::tlv;
    let infos: Vec<Vec<u8>> = oids.iter().map(|oid| tlv(0x30, &[&tlv(0x06, &[oid])])).collect();
    let content = tlv(0x30, &[&infos.concat()]);
    params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 32], content)];
}

#[test]
fn one_of_the_required_policies_must_be_named_and_any_policy_is_none() {
    const ONE: &[u8] = &[0x2A, 0x03, 0x04];
    const TWO: &[u8] = &[0x2A, 0x03, 0x05];
    const ANY: &[u8] = &[0x55, 0x1D, 0x20, 0x00];
    let (one, either) = (policies(&["1.2.3.4"]), policies(&["1.2.3.4", "1.2.3.5"]));
    for (required, oids, expected) in [
        (&one, &[ONE][..], ALLOWED),
        (&one, &[TWO, ONE], ALLOWED),
        (&one, &[TWO], DENIED),
        (&one, &[ANY], DENIED),
        (&either, &[TWO], ALLOWED),
        (&either, &[ANY], DENIED),
        (&either, &[TWO, ANY], ALLOWED),
    ] {
        let change = |params: &mut CertificateParams| with_policies(params, oids);
        assert_eq!(answer(required, change), expected, "{oids:x?} where {required:?}");
    }
    assert_eq!(answer(&one, |_| ()), DENIED, "no such extension");
}

#[test]
fn the_text_says_what_is_wrong_and_which_of_two_certificates_to_pick() {
    use ExtendedKeyUsagePurpose::{ClientAuth, EmailProtection};
    let pick = "of two certificates on a card, the one to pick";
    let none = RequiredUsage::default();
    let mail: fn(&mut CertificateParams) =
        |params| params.extended_key_usages = vec![EmailProtection];
    let client: fn(&mut CertificateParams) = |params| params.extended_key_usages = vec![ClientAuth];
    for (required, change, said) in [
        (&none, mail, "permits neither clientAuth nor any"),
        (&purposes(&[SMARTCARD_LOGON]), client, "does not name smartcardLogon"),
        (&purposes(&["1.2.3"]), client, "does not name 1.2.3"),
        (&bits(&["digitalSignature"]), client, "its key usage lacks digitalSignature"),
        (&policies(&["1.2.3", "1.2.4"]), client, "names none of the policies 1.2.3, 1.2.4"),
    ] {
        let text = why(required, change);
        assert!(text.contains(said) && text.contains(pick), "{text}");
    }
    let authority = |params: &mut CertificateParams| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    };
    assert!(why(&none, authority).contains("a CA's own certificate"));
}
