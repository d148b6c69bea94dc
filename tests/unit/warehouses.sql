-- bigquery: days
DELETE FROM `lake`.`mixpanel`.`export` WHERE event_date IN (SELECT event_date FROM `lake`.`mixpanel_staging`.`export`);
INSERT INTO `lake`.`mixpanel`.`export`(`event_date`, `event_key`, `event`) SELECT `event_date`, `event_key`, `event` FROM `lake`.`mixpanel_staging`.`export` WHERE 1 = 1 AND (event_key <> '');
-- bigquery: days with kept ones
DELETE FROM `lake`.`mixpanel`.`export` WHERE (event_date IN (SELECT event_date FROM `lake`.`mixpanel_staging`.`export`)) AND event_date NOT IN (CAST('2026-11-18' AS date));
INSERT INTO `lake`.`mixpanel`.`export`(`event_date`, `event_key`, `event`) SELECT `event_date`, `event_key`, `event` FROM `lake`.`mixpanel_staging`.`export` WHERE 1 = 1 AND (event_key <> '' AND event_key NOT IN (SELECT event_key FROM `lake`.`mixpanel`.`export` WHERE event_date IN (CAST('2026-11-18' AS date))));
-- bigquery: parts
DELETE FROM `lake`.`mixpanel`.`_mixpanel_rejected` WHERE STRUCT(table_name, part) IN (SELECT STRUCT(table_name, part) FROM `lake`.`mixpanel_staging`.`_mixpanel_rejected`);
INSERT INTO `lake`.`mixpanel`.`_mixpanel_rejected`(`table_name`, `part`, `reason`) SELECT `table_name`, `part`, `reason` FROM `lake`.`mixpanel_staging`.`_mixpanel_rejected` WHERE 1 = 1 AND (reason <> '');
-- bigquery: a table
DELETE FROM `lake`.`mixpanel`.`engage` WHERE 1 = 1;
INSERT INTO `lake`.`mixpanel`.`engage`(`distinct_id`) SELECT `distinct_id` FROM `lake`.`mixpanel_staging`.`engage` WHERE 1 = 1 AND (distinct_id IS NOT NULL);
-- bigquery: history
UPDATE `lake`.`mixpanel`.`cohort_members` SET `_dlt_valid_to` = TIMESTAMP '2026-11-20 12:00:00.000000+00:00' WHERE `member_key` NOT IN (SELECT `member_key` FROM `lake`.`mixpanel_staging`.`cohort_members` WHERE distinct_id IS NOT NULL) AND `_dlt_valid_to` IS NULL AND cohort_id IN (SELECT cohort_id FROM `lake`.`mixpanel_staging`.`cohort_members`);
INSERT INTO `lake`.`mixpanel`.`cohort_members` (`member_key`, `cohort_id`, `distinct_id`, `_dlt_valid_from`, `_dlt_valid_to`) SELECT `member_key`, `cohort_id`, `distinct_id`, TIMESTAMP '2026-11-20 12:00:00.000000+00:00' AS `_dlt_valid_from`, NULL AS `_dlt_valid_to` FROM `lake`.`mixpanel_staging`.`cohort_members` AS s WHERE `member_key` NOT IN (SELECT `member_key` FROM `lake`.`mixpanel`.`cohort_members` WHERE `_dlt_valid_to` IS NULL) AND (distinct_id IS NOT NULL);
-- clickhouse: days
DELETE FROM `lake`.`mixpanel___export` WHERE event_date IN (SELECT event_date FROM `lake`.`mixpanel_staging___export`);
INSERT INTO `lake`.`mixpanel___export`(`event_date`, `event_key`, `event`) SELECT `event_date`, `event_key`, `event` FROM `lake`.`mixpanel_staging___export` WHERE 1 = 1 AND (event_key <> '');
-- clickhouse: days with kept ones
DELETE FROM `lake`.`mixpanel___export` WHERE (event_date IN (SELECT event_date FROM `lake`.`mixpanel_staging___export`)) AND event_date NOT IN (CAST('2026-11-18' AS date));
INSERT INTO `lake`.`mixpanel___export`(`event_date`, `event_key`, `event`) SELECT `event_date`, `event_key`, `event` FROM `lake`.`mixpanel_staging___export` WHERE 1 = 1 AND (event_key <> '' AND event_key NOT IN (SELECT event_key FROM `lake`.`mixpanel___export` WHERE event_date IN (CAST('2026-11-18' AS date))));
-- clickhouse: parts
DELETE FROM `lake`.`mixpanel____mixpanel_rejected` WHERE (table_name, part) IN (SELECT table_name, part FROM `lake`.`mixpanel_staging____mixpanel_rejected`);
INSERT INTO `lake`.`mixpanel____mixpanel_rejected`(`table_name`, `part`, `reason`) SELECT `table_name`, `part`, `reason` FROM `lake`.`mixpanel_staging____mixpanel_rejected` WHERE 1 = 1 AND (reason <> '');
-- clickhouse: a table
DELETE FROM `lake`.`mixpanel___engage` WHERE 1 = 1;
INSERT INTO `lake`.`mixpanel___engage`(`distinct_id`) SELECT `distinct_id` FROM `lake`.`mixpanel_staging___engage` WHERE 1 = 1 AND (distinct_id IS NOT NULL);
-- clickhouse: history
ALTER TABLE `lake`.`mixpanel___cohort_members` UPDATE `_dlt_valid_to` = toDateTime64('2026-11-20 12:00:00.000000', 6, 'UTC') WHERE `member_key` NOT IN (SELECT `member_key` FROM `lake`.`mixpanel_staging___cohort_members` WHERE distinct_id IS NOT NULL) AND `_dlt_valid_to` IS NULL AND cohort_id IN (SELECT cohort_id FROM `lake`.`mixpanel_staging___cohort_members`);
INSERT INTO `lake`.`mixpanel___cohort_members` (`member_key`, `cohort_id`, `distinct_id`, `_dlt_valid_from`, `_dlt_valid_to`) SELECT `member_key`, `cohort_id`, `distinct_id`, toDateTime64('2026-11-20 12:00:00.000000', 6, 'UTC') AS `_dlt_valid_from`, NULL AS `_dlt_valid_to` FROM `lake`.`mixpanel_staging___cohort_members` AS s WHERE `member_key` NOT IN (SELECT `member_key` FROM `lake`.`mixpanel___cohort_members` WHERE `_dlt_valid_to` IS NULL) AND (distinct_id IS NOT NULL);
-- databricks: days
DELETE FROM `lake`.`mixpanel`.`export` WHERE event_date IN (SELECT event_date FROM `lake`.`mixpanel_staging`.`export`);
INSERT INTO `lake`.`mixpanel`.`export`(`event_date`, `event_key`, `event`) SELECT `event_date`, `event_key`, `event` FROM `lake`.`mixpanel_staging`.`export` WHERE 1 = 1 AND (event_key <> '');
-- databricks: days with kept ones
DELETE FROM `lake`.`mixpanel`.`export` WHERE (event_date IN (SELECT event_date FROM `lake`.`mixpanel_staging`.`export`)) AND event_date NOT IN (CAST('2026-11-18' AS date));
INSERT INTO `lake`.`mixpanel`.`export`(`event_date`, `event_key`, `event`) SELECT `event_date`, `event_key`, `event` FROM `lake`.`mixpanel_staging`.`export` WHERE 1 = 1 AND (event_key <> '' AND event_key NOT IN (SELECT event_key FROM `lake`.`mixpanel`.`export` WHERE event_date IN (CAST('2026-11-18' AS date))));
-- databricks: parts
DELETE FROM `lake`.`mixpanel`.`_mixpanel_rejected` WHERE STRUCT(table_name, part) IN (SELECT STRUCT(table_name, part) FROM `lake`.`mixpanel_staging`.`_mixpanel_rejected`);
INSERT INTO `lake`.`mixpanel`.`_mixpanel_rejected`(`table_name`, `part`, `reason`) SELECT `table_name`, `part`, `reason` FROM `lake`.`mixpanel_staging`.`_mixpanel_rejected` WHERE 1 = 1 AND (reason <> '');
-- databricks: a table
DELETE FROM `lake`.`mixpanel`.`engage` WHERE 1 = 1;
INSERT INTO `lake`.`mixpanel`.`engage`(`distinct_id`) SELECT `distinct_id` FROM `lake`.`mixpanel_staging`.`engage` WHERE 1 = 1 AND (distinct_id IS NOT NULL);
-- databricks: history
MERGE INTO `lake`.`mixpanel`.`cohort_members` d USING (SELECT DISTINCT `member_key` FROM `lake`.`mixpanel`.`cohort_members` WHERE `member_key` NOT IN (SELECT `member_key` FROM `lake`.`mixpanel_staging`.`cohort_members` WHERE distinct_id IS NOT NULL) AND `_dlt_valid_to` IS NULL AND cohort_id IN (SELECT cohort_id FROM `lake`.`mixpanel_staging`.`cohort_members`)) k ON d.`member_key` = k.`member_key` AND `_dlt_valid_to` IS NULL WHEN MATCHED THEN UPDATE SET `_dlt_valid_to` = '2026-11-20 12:00:00.000000+00:00';
INSERT INTO `lake`.`mixpanel`.`cohort_members` (`member_key`, `cohort_id`, `distinct_id`, `_dlt_valid_from`, `_dlt_valid_to`) SELECT `member_key`, `cohort_id`, `distinct_id`, '2026-11-20 12:00:00.000000+00:00' AS `_dlt_valid_from`, NULL AS `_dlt_valid_to` FROM `lake`.`mixpanel_staging`.`cohort_members` AS s WHERE `member_key` NOT IN (SELECT `member_key` FROM `lake`.`mixpanel`.`cohort_members` WHERE `_dlt_valid_to` IS NULL) AND (distinct_id IS NOT NULL);
-- redshift: days
DELETE FROM "mixpanel"."export" WHERE event_date IN (SELECT event_date FROM "mixpanel_staging"."export");
INSERT INTO "mixpanel"."export"("event_date", "event_key", "event") SELECT "event_date", "event_key", "event" FROM "mixpanel_staging"."export" WHERE 1 = 1 AND (event_key <> '');
-- redshift: days with kept ones
DELETE FROM "mixpanel"."export" WHERE (event_date IN (SELECT event_date FROM "mixpanel_staging"."export")) AND event_date NOT IN (CAST('2026-11-18' AS date));
INSERT INTO "mixpanel"."export"("event_date", "event_key", "event") SELECT "event_date", "event_key", "event" FROM "mixpanel_staging"."export" WHERE 1 = 1 AND (event_key <> '' AND event_key NOT IN (SELECT event_key FROM "mixpanel"."export" WHERE event_date IN (CAST('2026-11-18' AS date))));
-- redshift: parts
DELETE FROM "mixpanel"."_mixpanel_rejected" WHERE (table_name, part) IN (SELECT table_name, part FROM "mixpanel_staging"."_mixpanel_rejected");
INSERT INTO "mixpanel"."_mixpanel_rejected"("table_name", "part", "reason") SELECT "table_name", "part", "reason" FROM "mixpanel_staging"."_mixpanel_rejected" WHERE 1 = 1 AND (reason <> '');
-- redshift: a table
DELETE FROM "mixpanel"."engage" WHERE 1 = 1;
INSERT INTO "mixpanel"."engage"("distinct_id") SELECT "distinct_id" FROM "mixpanel_staging"."engage" WHERE 1 = 1 AND (distinct_id IS NOT NULL);
-- redshift: history
UPDATE "mixpanel"."cohort_members" SET "_dlt_valid_to" = '2026-11-20 12:00:00.000000+00:00' WHERE "member_key" NOT IN (SELECT "member_key" FROM "mixpanel_staging"."cohort_members" WHERE distinct_id IS NOT NULL) AND "_dlt_valid_to" IS NULL AND cohort_id IN (SELECT cohort_id FROM "mixpanel_staging"."cohort_members");
INSERT INTO "mixpanel"."cohort_members" ("member_key", "cohort_id", "distinct_id", "_dlt_valid_from", "_dlt_valid_to") SELECT "member_key", "cohort_id", "distinct_id", '2026-11-20 12:00:00.000000+00:00' AS "_dlt_valid_from", NULL AS "_dlt_valid_to" FROM "mixpanel_staging"."cohort_members" AS s WHERE "member_key" NOT IN (SELECT "member_key" FROM "mixpanel"."cohort_members" WHERE "_dlt_valid_to" IS NULL) AND (distinct_id IS NOT NULL);
-- snowflake: days
DELETE FROM "MIXPANEL"."EXPORT" WHERE event_date IN (SELECT event_date FROM "MIXPANEL_STAGING"."EXPORT");
INSERT INTO "MIXPANEL"."EXPORT"("EVENT_DATE", "EVENT_KEY", "EVENT") SELECT "EVENT_DATE", "EVENT_KEY", "EVENT" FROM "MIXPANEL_STAGING"."EXPORT" WHERE 1 = 1 AND (event_key <> '');
-- snowflake: days with kept ones
DELETE FROM "MIXPANEL"."EXPORT" WHERE (event_date IN (SELECT event_date FROM "MIXPANEL_STAGING"."EXPORT")) AND event_date NOT IN (CAST('2026-11-18' AS date));
INSERT INTO "MIXPANEL"."EXPORT"("EVENT_DATE", "EVENT_KEY", "EVENT") SELECT "EVENT_DATE", "EVENT_KEY", "EVENT" FROM "MIXPANEL_STAGING"."EXPORT" WHERE 1 = 1 AND (event_key <> '' AND event_key NOT IN (SELECT event_key FROM "MIXPANEL"."EXPORT" WHERE event_date IN (CAST('2026-11-18' AS date))));
-- snowflake: parts
DELETE FROM "MIXPANEL"."_MIXPANEL_REJECTED" WHERE (table_name, part) IN (SELECT table_name, part FROM "MIXPANEL_STAGING"."_MIXPANEL_REJECTED");
INSERT INTO "MIXPANEL"."_MIXPANEL_REJECTED"("TABLE_NAME", "PART", "REASON") SELECT "TABLE_NAME", "PART", "REASON" FROM "MIXPANEL_STAGING"."_MIXPANEL_REJECTED" WHERE 1 = 1 AND (reason <> '');
-- snowflake: a table
DELETE FROM "MIXPANEL"."ENGAGE" WHERE 1 = 1;
INSERT INTO "MIXPANEL"."ENGAGE"("DISTINCT_ID") SELECT "DISTINCT_ID" FROM "MIXPANEL_STAGING"."ENGAGE" WHERE 1 = 1 AND (distinct_id IS NOT NULL);
-- snowflake: history
UPDATE "MIXPANEL"."COHORT_MEMBERS" SET "_DLT_VALID_TO" = '2026-11-20 12:00:00.000000+00:00' WHERE "MEMBER_KEY" NOT IN (SELECT "MEMBER_KEY" FROM "MIXPANEL_STAGING"."COHORT_MEMBERS" WHERE distinct_id IS NOT NULL) AND "_DLT_VALID_TO" IS NULL AND cohort_id IN (SELECT cohort_id FROM "MIXPANEL_STAGING"."COHORT_MEMBERS");
INSERT INTO "MIXPANEL"."COHORT_MEMBERS" ("MEMBER_KEY", "COHORT_ID", "DISTINCT_ID", "_DLT_VALID_FROM", "_DLT_VALID_TO") SELECT "MEMBER_KEY", "COHORT_ID", "DISTINCT_ID", '2026-11-20 12:00:00.000000+00:00' AS "_DLT_VALID_FROM", NULL AS "_DLT_VALID_TO" FROM "MIXPANEL_STAGING"."COHORT_MEMBERS" AS s WHERE "MEMBER_KEY" NOT IN (SELECT "MEMBER_KEY" FROM "MIXPANEL"."COHORT_MEMBERS" WHERE "_DLT_VALID_TO" IS NULL) AND (distinct_id IS NOT NULL);
