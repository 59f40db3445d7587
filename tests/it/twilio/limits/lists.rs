//! Which page of a list, and of what.

use crate::support::TestApp;
use crate::support::operations::{Everything, samples};

#[tokio::test]
async fn parameters_of_every_list() {
    let server = TestApp::new().await;
    let client = server.client();
    let all = Everything::create(&server, &client).await;
    let last_segments = [
        "Services",
        "Entities",
        "Factors",
        "Challenges",
        "Webhooks",
        "RateLimits",
        "Buckets",
        "MessagingConfigurations",
    ];
    let lists: Vec<_> = samples()
        .into_iter()
        .map(|sample| sample.operation)
        .filter(|operation| {
            operation.method == "GET" && last_segments.iter().any(|last| operation.path.ends_with(last))
        })
        .collect();
    assert_eq!(lists.len(), last_segments.len());
    for operation in lists {
        let path = all.path(operation.path);
        for size in ["1", "50", "1000"] {
            let body = client.get(format!("{path}?PageSize={size}")).await.ok();
            assert_eq!(body["meta"]["page_size"].to_string(), size);
        }
        for size in ["0", "-1", "x", "1.0", "+1", "%201", "00"] {
            client
                .get(format!("{path}?PageSize={size}"))
                .await
                .refused(400, 60373)
                .naming("PageSize");
        }
        for size in ["1001", "4294967297", "99999999999999999999"] {
            client
                .get(format!("{path}?PageSize={size}"))
                .await
                .refused(400, 20007)
                .naming("PageSize");
        }
        for page in ["-1", "x", "1.5"] {
            client
                .get(format!("{path}?Page={page}"))
                .await
                .refused(400, 60306)
                .naming("Page");
        }
        client.get(format!("{path}?Page=4294967295")).await.ok();
        let sid = "0123456789abcdef0123456789abcdef";
        for token in [
            "x",
            "PA",
            &format!("PC{sid}"),
            &format!("PA{sid}0"),
            &format!("pa{sid}"),
            &sid[2..],
            "%F0%9F%98%80",
        ] {
            for name in ["PageToken", "pageToken"] {
                client
                    .get(format!("{path}?{name}={token}"))
                    .await
                    .refused(400, 60374)
                    .naming("PageToken");
            }
        }
    }
    let challenges = format!("{}/Challenges", all.user.path);
    for (parameter, code, bad) in [
        ("Status", 60300, ["Pending", "open"]),
        ("Order", 60300, ["ASC", "up"]),
        ("FactorSid", 60306, ["YF", "x"]),
    ] {
        for bad in bad {
            client
                .get(format!("{challenges}?{parameter}={bad}"))
                .await
                .refused(400, code)
                .naming(parameter);
        }
    }
}
