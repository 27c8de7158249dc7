//! Limits of queries.

use crate::config::reader::Reader;

settings! {
    /// Limits of queries.
    pub struct QueryConfig {
        /// The number of items in a list if the query sets no limit; at most `QUERY_LIMIT_MAX`,
        /// also if not set.
        limit_default: u64 = setting("QUERY_LIMIT_DEFAULT", "100", number(1, 1_000_000_000));
        /// The maximum number of items in a list, also for a limit of -1 (all); -1 for no maximum.
        limit_max: Option<u64> = setting("QUERY_LIMIT_MAX", "10000", number_or_none(1_000_000_000));
        /// The number of names in a path through relations: `user_created.role.name` has three.
        depth_max: usize = setting("MAX_RELATIONAL_DEPTH", "10", number(2, 32));
        /// The number of items one request may create, change or delete, including related items.
        /// Other writes wait meanwhile: some 50 ms for an update of 1,000 messages on two cores.
        batch_max: usize = setting("MAX_BATCH_MUTATION", "1000", number(1, 100_000));
        /// The number of characters in the content of a message. All other fields have limits of
        /// their own.
        text_max: usize = setting("CONTENT_LENGTH_MAX", "65536", number(1, 10_000_000));
        /// Whether a message without visible text is refused: without content, or with white space,
        /// control and format characters only. Directus accepts it.
        require_content: bool = setting("MESSAGES_REQUIRE_CONTENT", "true", boolean);
        /// The largest response to a REST read; larger ones are refused with `LIMIT_EXCEEDED`.
        answer_bytes_max: usize = setting("ANSWER_SIZE_MAX", "32mb", size(1 << 16, 1 << 30));
    }
    check QueryConfig::check;
}

impl QueryConfig {
    /// Limits the default to the maximum.
    fn check(&mut self, from: &mut Reader) {
        let Some(max) = self.limit_max.filter(|max| self.limit_default > *max) else { return };
        if from.value("QUERY_LIMIT_DEFAULT").is_some() {
            from.report("QUERY_LIMIT_DEFAULT", "at most QUERY_LIMIT_MAX");
        }
        self.limit_default = max;
        from.set_default("QUERY_LIMIT_DEFAULT", max.to_string());
    }
}
