//! What a registry asks for before it answers: `WWW-Authenticate` (RFC 9110, 11.6.1; RFC 6750; the registry token
//! specification). Pure.

use reqwest::Url;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer {
        /// The token service.
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

/// The best of what one or several headers ask for: a token rather than a password.
pub(super) fn best<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let mut all: Vec<Challenge> = headers.flat_map(parse).collect();
    let bearer = all.iter().position(|challenge| matches!(challenge, Challenge::Bearer { .. }));
    match bearer {
        Some(at) => Some(all.swap_remove(at)),
        None => all.pop(),
    }
}

/// Where the token is to be had. `None` when that is no place to send a password to: not HTTPS, unless the registry itself
/// is spoken to without.
pub(super) fn token_url(
    registry: &Url,
    realm: &str,
    service: Option<&str>,
    scope: Option<&str>,
) -> Option<Url> {
    let mut url = Url::parse(realm).ok()?;
    let safe = url.scheme() == "https"
        || (url.scheme() == "http" && registry.scheme() == "http" && url.host() == registry.host());
    if !safe || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    {
        let mut query = url.query_pairs_mut();
        for (key, value) in [("service", service), ("scope", scope)] {
            if let Some(value) = value {
                query.append_pair(key, value);
            }
        }
    }
    Some(url)
}

/// Challenges of one header; of others than the two known, nothing.
fn parse(header: &str) -> Vec<Challenge> {
    let mut rest = header.trim();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (scheme, after) = word(rest);
        if scheme.is_empty() {
            break;
        }
        let (parameters, after) = parameters(after);
        rest = after;
        let get = |key: &str| {
            let mut named = parameters.iter().filter(|(name, _)| name.eq_ignore_ascii_case(key));
            named.next().map(|(_, value)| value.clone())
        };
        if scheme.eq_ignore_ascii_case("basic") {
            found.push(Challenge::Basic);
        } else if scheme.eq_ignore_ascii_case("bearer")
            && let Some(realm) = get("realm")
        {
            found.push(Challenge::Bearer { realm, service: get("service"), scope: get("scope") });
        }
    }
    found
}

/// Up to a blank, a comma or an equals sign.
fn word(text: &str) -> (&str, &str) {
    let end = text.find([' ', '\t', ',', '=']).unwrap_or(text.len());
    text.split_at(end)
}

type Parameters = Vec<(String, String)>;

/// `name=value` and `name="value"`, separated by commas, until something is none: the next challenge.
fn parameters(text: &str) -> (Parameters, &str) {
    let mut rest = text.trim_start();
    let mut all = Parameters::new();
    loop {
        let begin = rest.trim_start_matches([' ', '\t', ',']);
        let (name, after) = word(begin);
        let Some(value) = after.trim_start().strip_prefix('=') else { return (all, begin) };
        let value = value.trim_start();
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let end = value.find([' ', '\t', ',']).unwrap_or(value.len());
                (value[..end].to_owned(), &value[end..])
            }
        };
        all.push((name.to_owned(), value));
        rest = after;
    }
}

/// What is between the quotes, and what follows.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            letter => value.push(letter),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(header: &str) -> Option<Challenge> {
        best(std::iter::once(header))
    }

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        let (service, scope) = (service.map(str::to_owned), scope.map(str::to_owned));
        Some(Challenge::Bearer { realm: realm.to_owned(), service, scope })
    }

    #[test]
    fn what_registries_ask_for_is_read() {
        assert_eq!(of("Basic realm=\"test\""), Some(Challenge::Basic));
        assert_eq!(of("basic"), Some(Challenge::Basic));
        let header = "Bearer realm=\"https://auth.example/token\",service=\"registry.example\",\
                      scope=\"repository:games/a:pull,push\"";
        let scope = Some("repository:games/a:pull,push");
        assert_eq!(of(header), bearer("https://auth.example/token", Some("registry.example"), scope));
        assert_eq!(
            of("bEaReR  realm = https://a.example/t , Service=x"),
            bearer("https://a.example/t", Some("x"), None)
        );
        assert_eq!(of(r#"Bearer realm="a\"b\\c""#), bearer("a\"b\\c", None, None));
    }

    #[test]
    fn a_token_is_preferred_to_a_password_wherever_it_stands() {
        for header in [
            "Basic realm=\"x\", Bearer realm=\"https://a.example\"",
            "Bearer realm=\"https://a.example\", Basic realm=\"x\"",
            "Negotiate, Basic realm=\"x, y\", Bearer realm=\"https://a.example\"",
        ] {
            assert_eq!(of(header), bearer("https://a.example", None, None), "{header}");
        }
        let two = ["Basic realm=x", "Bearer realm=\"https://a.example\""];
        assert_eq!(best(two.into_iter()), bearer("https://a.example", None, None));
    }

    #[test]
    fn nonsense_asks_for_nothing() {
        for header in [
            "",
            ",",
            "=",
            "Bearer",
            "Bearer service=x",
            "Digest realm=\"x\"",
            "Bearer realm",
            "\"",
            "Negotiate abc==",
        ] {
            assert_eq!(of(header), None, "{header}");
        }
        assert_eq!(of("Bearer realm=\"open"), bearer("open", None, None));
    }

    #[test]
    fn a_password_is_sent_only_where_it_is_safe() {
        let https = Url::parse("https://registry.example/v2/").unwrap();
        let local = Url::parse("http://127.0.0.1:5000/v2/").unwrap();
        let url = |registry: &Url, realm: &str| token_url(registry, realm, Some("a b"), Some("x:y:pull"));
        let told = url(&https, "https://auth.example/token?one=1").unwrap().to_string();
        assert_eq!(told, "https://auth.example/token?one=1&service=a+b&scope=x%3Ay%3Apull");
        assert!(url(&local, "http://127.0.0.1:9/token").is_some());
        assert!(url(&local, "https://auth.example/token").is_some());
        for realm in
            ["http://auth.example/token", "ftp://a.example", "/token", "", "https://a:b@auth.example/"]
        {
            assert_eq!(url(&https, realm), None, "{realm}");
        }
        assert_eq!(url(&local, "http://auth.example/token"), None);
    }
}
