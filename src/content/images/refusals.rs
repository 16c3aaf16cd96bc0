//! What an engine's refusal means. The engine passes on what the registry or the network said, as text.

use super::super::ContentError;
use super::super::references::Reference;
use bollard::errors::Error;

/// Longest detail that is shown.
const MAX_DETAIL: usize = 300;

/// Words of engines (20.10 to 28) and registries, lower case, most telling first.
const MEANINGS: [(&str, Meaning); 24] = [
    ("verification failed", Meaning::WrongDigest),
    ("does not match digest", Meaning::WrongDigest),
    ("digest mismatch", Meaning::WrongDigest),
    ("manifest unknown", Meaning::NotFound),
    ("name unknown", Meaning::NotFound),
    ("no matching manifest", Meaning::NotFound),
    ("incorrect username or password", Meaning::Refused),
    ("no basic auth credentials", Meaning::Refused),
    ("unauthorized", Meaning::Refused),
    ("access denied", Meaning::Refused),
    ("denied:", Meaning::Refused),
    ("forbidden", Meaning::Refused),
    ("connection refused", Meaning::Unreachable),
    ("connection reset", Meaning::Unreachable),
    ("no such host", Meaning::Unreachable),
    ("server misbehaving", Meaning::Unreachable),
    ("no route to host", Meaning::Unreachable),
    ("network is unreachable", Meaning::Unreachable),
    ("timeout", Meaning::Unreachable),
    ("deadline exceeded", Meaning::Unreachable),
    ("eof", Meaning::Unreachable),
    ("server gave http response to https client", Meaning::Unreachable),
    ("x509:", Meaning::Unreachable),
    ("not found", Meaning::NotFound),
];

#[derive(Debug, Clone, Copy)]
enum Meaning {
    NotFound,
    WrongDigest,
    Refused,
    Unreachable,
}

/// The sentence for an error of a pull or an inspection.
pub(super) fn of_engine(reference: &Reference, error: &Error) -> ContentError {
    #[expect(clippy::wildcard_enum_match_arm, reason = "foreign and large")]
    match error {
        Error::DockerResponseServerError { message: text, .. } | Error::DockerStreamError { error: text } => {
            of_text(reference, text)
        }
        other => ContentError::Other(format!("the engine that runs games does not answer: {other}")),
    }
}

fn of_text(reference: &Reference, text: &str) -> ContentError {
    let lower = own_words(reference, text).to_lowercase();
    let meaning = MEANINGS.iter().find(|(words, _)| lower.contains(words)).map(|(_, meaning)| *meaning);
    let detail: String = text.trim().chars().take(MAX_DETAIL).collect();
    let reference = reference.to_string();
    match meaning {
        Some(Meaning::NotFound) => ContentError::NoSuchImage { reference, detail },
        Some(Meaning::WrongDigest) => ContentError::WrongDigest { reference, detail },
        Some(Meaning::Refused) => ContentError::RegistryRefused { reference, detail },
        Some(Meaning::Unreachable) => ContentError::RegistryUnreachable { reference, detail },
        None => ContentError::Other(format!("the image {reference} cannot be pulled: {detail}")),
    }
}

/// Without the words that name the image: it may be called `forbidden-planet`.
fn own_words(reference: &Reference, text: &str) -> String {
    let below = format!("/{}", reference.path);
    let names = |word: &&str| {
        let bare = word.trim_matches(|letter: char| !letter.is_alphanumeric());
        bare == reference.path
            || word.contains(&below)
            || bare.starts_with(&format!("{}:", reference.path))
            || reference.host.as_ref().is_some_and(|host| word.contains(host.as_str()))
    };
    text.split_whitespace().filter(|word| !names(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(reference: &str, text: &str) -> ContentError {
        let error = Error::DockerResponseServerError { status_code: 500, message: text.to_owned() };
        of_engine(&Reference::parse(reference).unwrap(), &error)
    }

    #[test]
    fn what_engines_say_is_understood() {
        let host = "registry.example:5000/game:1";
        let not_found =
            "manifest for registry.example:5000/game:1 not found: manifest unknown: manifest unknown";
        assert!(matches!(of(host, not_found), ContentError::NoSuchImage { .. }));
        let refused = "Get \"http://registry.example:5000/v2/game/manifests/1\": no basic auth credentials";
        assert!(matches!(of(host, refused), ContentError::RegistryRefused { .. }));
        let dead =
            "Get \"http://registry.example:5000/v2/\": dial tcp 10.0.0.1:5000: connect: connection refused";
        assert!(matches!(of(host, dead), ContentError::RegistryUnreachable { .. }));
        let other = "manifest verification failed for digest sha256:00";
        assert!(matches!(of(host, other), ContentError::WrongDigest { .. }));
        let full = of(host, "write /var/lib/x: no space left on device");
        assert!(matches!(&full, ContentError::Other(text) if text.contains("no space left")), "{full}");
    }

    #[test]
    fn an_images_name_decides_nothing() {
        let text = "manifest for forbidden-planet:1 not found: manifest unknown: manifest unknown";
        assert!(matches!(of("forbidden-planet:1", text), ContentError::NoSuchImage { .. }));
        let text = "write \"http://unauthorized.example/v2/timeout/x\": disk quota exceeded";
        assert!(matches!(of("unauthorized.example/timeout", text), ContentError::Other(_)));
    }
}
