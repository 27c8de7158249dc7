//! Cached rows equal those of the database after any sequence of deletions: the newest messages,
//! and the accounts and roles of relations. The caches do not imitate foreign keys.

use std::collections::HashMap;

use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Client, Permission, TestServer, User};

/// A small deterministic random number generator.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn take<T>(&mut self, of: &mut Vec<T>) -> Option<T> {
        if of.is_empty() { None } else { Some(of.swap_remove(self.below(of.len()))) }
    }
}

/// Compares related items, which come from the cache, with lists of their collection, which come
/// from the database.
async fn compare(admin: &User, when: &str) {
    let fields = "fields=*,user_created.id,user_created.role.id,user_created.role.parent";
    let memory = admin.get(&format!("/items/messages?sort=-date_created&limit=500&{fields}")).await;
    let database =
        admin.get("/items/messages?sort=-date_created&limit=500&filter[id][_gt]=0&fields=*").await;
    let by_id = async |path: &str| -> HashMap<String, Json> {
        let rows = admin.get(path).await.ok();
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| (row["id"].as_str().unwrap().to_owned(), row.clone())).collect()
    };
    let users = by_id("/users?limit=-1&fields=id,role").await;
    let roles = by_id("/roles?limit=-1&fields=id,parent").await;
    let (memory, database) = (memory.ok(), database.ok());
    let (memory, database) = (memory.as_array().unwrap(), database.as_array().unwrap());
    assert_eq!(memory.len(), database.len(), "{when}");
    for (known, stored) in memory.iter().zip(database) {
        let author = &known["user_created"];
        assert_eq!(known["id"], stored["id"], "{when}");
        assert_eq!(author["id"], stored["user_created"], "{when}: {known}");
        let Some(user) = author["id"].as_str() else { continue };
        let role = &author["role"];
        assert_eq!(role["id"], users[user]["role"], "{when}: {known}");
        if let Some(id) = role["id"].as_str() {
            assert_eq!(role["parent"], roles[id]["parent"], "{when}: {known}");
        }
    }
}

async fn storm(admin: &User, seed: u64, policy: &Json) {
    let mut numbers = Numbers(seed);
    let (mut users, mut roles) = (Vec::<(Json, Client)>::new(), Vec::<Json>::new());
    for step in 0..60 {
        match numbers.below(6) {
            0 => {
                let parent = roles.last().cloned().unwrap_or_default();
                let role = json!({"name": format!("role {step}"), "parent": parent});
                roles.push(admin.post("/roles", &role).await.ok()["id"].clone());
            }
            1 | 2 => {
                let role = roles.get(numbers.below(roles.len() + 1)).cloned().unwrap_or_default();
                let (email, token) =
                    (format!("{seed}.{step}@example.com"), format!("token of {seed}.{step}"));
                let policies = json!([{"policy": policy}]);
                let account =
                    json!({"email": email, "role": role, "token": token, "policies": policies});
                let id = admin.post("/users", &account).await.ok()["id"].clone();
                users.push((id, admin.bearing(&token)));
            }
            3 => {
                if let Some(role) = numbers.take(&mut roles) {
                    admin.delete(&format!("/roles/{}", role.as_str().unwrap())).await.nothing();
                }
            }
            4 => {
                let gone = (0..=numbers.below(3)).filter_map(|_| numbers.take(&mut users));
                let gone: Vec<Json> = gone.map(|(id, _)| id).collect();
                admin.delete_many("/users", &json!(gone)).await.nothing();
            }
            _ => {
                let author = users.get(numbers.below(users.len() + 1));
                let author = author.map_or(&**admin, |(_, client)| client);
                let rows = vec![json!({"content": step.to_string()}); 1 + numbers.below(25)];
                let created = author.post("/items/messages", &json!(rows)).await;
                assert!([200, 204].contains(&created.status), "{}", created.text);
            }
        }
        compare(admin, &format!("seed {seed}, after step {step}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cached_rows_match_the_database_after_any_deletions() {
    let server = TestServer::with(|config| {
        config.limits.per_address = None;
        config.store.step_rows_max = 7;
    })
    .await;
    let admin = server.admin().await;
    let policy = admin.policy("Authors", &[Permission::to("create", "messages")]).await;
    for seed in [1, 2, 3] {
        storm(&admin, seed, &policy).await;
    }
    server.stop().await;
}
