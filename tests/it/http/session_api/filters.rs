//! `GET /session`: the query (rules 8 to 11, G5, G7 to G9, G13, G27).

use super::Office;
use playgate::session::hosted::HostedFilter;

async fn filter(office: &Office, query: &str) -> HostedFilter {
    let answer = office.get(&format!("/session?{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    office.site.hosted.filters.lock().unwrap().pop().unwrap()
}

async fn violated(office: &Office, query: &str) -> Vec<String> {
    let answer = office.get(&format!("/session?{query}")).await;
    answer.is_error_response(422, "INVALID_REQUEST", "/session")
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn rule_8_and_g7_without_all_only_the_running_are_asked_for() {
    let office = Office::new().await;
    assert_eq!(filter(&office, "").await, HostedFilter::default());
    assert!(!filter(&office, "all=false").await.all);
    assert!(filter(&office, "all=true").await.all);
    for query in ["all=banana", "all=", "all=1", "all=True", "all=true&all=true"] {
        assert_eq!(violated(&office, query).await, ["all"], "{query}");
    }
}

#[tokio::test]
async fn rule_9_equality_filters_reach_the_core_as_they_are() {
    let office = Office::new().await;
    let found =
        filter(&office, "location=frankfurt&image=my%20image&tag=1.27&host=203.0.113.7&other=x").await;
    let expected = HostedFilter {
        location: Some("frankfurt".into()),
        image: Some("my image".into()),
        tag: Some("1.27".into()),
        host: Some("203.0.113.7".into()),
        ..HostedFilter::default()
    };
    assert_eq!(found, expected);
    assert_eq!(filter(&office, "image=").await.image.as_deref(), Some(""));
    assert_eq!(office.get("/session").await.text(), r#"{"sessions":[]}"#, "nothing found is an empty list");
}

#[tokio::test]
async fn rule_10_and_g27_player_counts_have_two_bounds_and_are_whole_numbers() {
    let office = Office::new().await;
    for query in ["playerCount[lt]=5&playerCount[gt]=0", "playerCount%5Blt%5D=5&playerCount%5bgt%5d=0"] {
        let found = filter(&office, query).await;
        assert_eq!((found.fewer_players_than, found.more_players_than), (Some(5), Some(0)), "{query}");
    }
    assert_eq!(filter(&office, "playerCount[gt]=-1").await.more_players_than, Some(-1));
    assert_eq!(
        filter(&office, "playerCount[lt]=99999999999999999999").await.fewer_players_than,
        Some(i64::MAX)
    );
    for (query, field) in [
        ("playerCount[lt]=five", "playerCount[lt]"),
        ("playerCount[lt]=", "playerCount[lt]"),
        ("playerCount[lt]=1.5", "playerCount[lt]"),
        ("playerCount[eq]=1", "playerCount[eq]"),
        ("playerCount[]=1", "playerCount[]"),
        ("playerCount=1", "playerCount"),
        ("playerCount[lt=1", "playerCount[lt"),
        ("playerCount[lt]=1&playerCount[lt]=2", "playerCount[lt]"),
    ] {
        assert_eq!(violated(&office, query).await, [field], "{query}");
    }
    assert_eq!(violated(&office, "all=x&playerCount[lt]=y").await, ["all", "playerCount[lt]"]);
}

#[tokio::test]
async fn rule_11_g8_and_g9_labels_filter_both_ways() {
    let office = Office::new().await;
    let found =
        filter(&office, "filter[mode]=ranked&filter%5Ba%20b%5D=%C3%BC&filterNot[mode]=casual&filter[x]=")
            .await;
    assert_eq!(found.labels, pairs(&[("mode", "ranked"), ("a b", "ü"), ("x", "")]));
    assert_eq!(found.not_labels, pairs(&[("mode", "casual")]));
    assert_eq!(filter(&office, "filterless[a]=1").await, HostedFilter::default());
    for query in ["filter=mode", "filterNot=mode", "filter[a]=1&filter[a]=2"] {
        assert_eq!(violated(&office, query).await.len(), 1, "{query}");
    }
}

#[tokio::test]
async fn a6_filters_are_bounded_in_number_and_length() {
    let office = Office::new().await;
    let keys = |count: usize| (0..count).map(|key| format!("filter[{key}]=v&")).collect::<String>();
    assert_eq!(filter(&office, &keys(64)).await.labels.len(), 64);
    for query in
        [keys(65), format!("filter[{}]=v", "k".repeat(257)), format!("filterNot[k]={}", "v".repeat(4097))]
    {
        let answer = office.get(&format!("/session?{query}")).await;
        assert_eq!(answer.is_error_response(422, "INVALID_REQUEST", "/session").len(), 1);
    }
}
