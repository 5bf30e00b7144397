-- Sealed under a store key of 32 bytes 0x07, for the forge 'https://forge.example'.
INSERT INTO meta (name, value)
  VALUES ('forge_origin', 'https://forge.example');
INSERT INTO meta (name, value)
  VALUES ('key_check', X'0168ffc461d7da046fa2307a4a89d4daa25ebf43e27dec7dc6e15a1401d88ce364574e5dab726b6e1c9f9bcd5535fbba12d812');
INSERT INTO clients (id, kind, name, redirect_uris, auth_method, secret_digest, application_type, client_uri, fingerprint, created_at, registered_at, last_used_at, retired_at)
  VALUES ('client-1', 'dcr', 'Editor client-1', '["https://editor.example/callback"]', 'none', NULL, NULL, NULL, '08jVxu8bPzpYbJeoS8grYh94mqlQLQtGO7hUvunbWLA', 1767614400000, 1767614400000, NULL, NULL);
INSERT INTO clients (id, kind, name, redirect_uris, auth_method, secret_digest, application_type, client_uri, fingerprint, created_at, registered_at, last_used_at, retired_at)
  VALUES ('desktop', 'static', 'Desktop', '[]', 'client_secret_basic', 'K7gNU3sdo-OL0wNhqoVWhr3g6s1xYv72ol_pe_Unols', NULL, NULL, NULL, 1767614400000, 1767614400000, NULL, NULL);
INSERT INTO accounts (id, login, is_admin, state, generation, access_token, refresh_token, access_expires_at, refresh_expires_at, created_at, updated_at)
  VALUES (1, 'anna', 0, 'active', 1, X'0168ffc461e49f32791aacac11dab435bd628cfb6f9cb5de4386ab916009e1363b59c6151808a3ed40fdef46029edd7152cc', X'0168ffc461eff23ff701b47a202f9a331e240844d368975a95dab18119d63800ad74578b5851790d6bc3551c0cc15466245f18', 1, 2, 1767614400000, 1767614400000);
INSERT INTO browser_sessions (digest, account_id, created_at, expires_at)
  VALUES ('XibXFGvQ9JyLQKELldzdLV2p34fqFtW8YiTEWgdBk8w', 1, 1767614400000, 1767614401000);
INSERT INTO authorization_requests (digest, client_id, redirect_uri, code_challenge, client_state, scope, resource, browser_digest, shown_account_id, stage, approval_digest, upstream_state_digest, callback_taken_at, account_id, created_at, expires_at, permission)
  VALUES ('GfEGS2GdSdNTkurHJhzXJmxyBnH8WU9LIm8yvwvudLo', 'client-1', 'https://editor.example/callback', 'challenge', X'0168ffc461ea1bf7f693e1c54efd696bd810b9f6dca7d5e1a096d6f0915266dd685dccd9dbc8d1847010d97321577df15c6eb02c961aa398', 'forgejo:delete', 'https://broker.example/mcp', 'XibXFGvQ9JyLQKELldzdLV2p34fqFtW8YiTEWgdBk8w', 1, 'consent', 'netluHiPQf-UoheEIBfbL4Q5VPwOtGEQg1kDkI5aJl8', NULL, NULL, NULL, 1767614400000, 1767615000000, NULL);
INSERT INTO grants (id, account_id, client_id, scope, resource, created_at, last_used_at, ended_at, end_reason, permission)
  VALUES ('g_Ub1mOf7XwLSCavbA', 1, 'client-1', 'forgejo:delete', 'https://broker.example/mcp', 1767614400000, NULL, NULL, NULL, '{"scope":"forgejo:read","toolsets":["issues"],"targets":["anna/*"]}');
INSERT INTO authorization_codes (digest, grant_id, redirect_uri, code_challenge, created_at, expires_at, used_at)
  VALUES ('Ub1mOf7XwLSCavbAa_5PTM46p6jbNlOXjNTYitChioo', 'g_Ub1mOf7XwLSCavbA', 'https://editor.example/callback', 'challenge', 1767614400000, 1767614460000, 1767614400000);
INSERT INTO refresh_tokens (digest, grant_id, predecessor, key_id, answers, confirmed_at, created_at, expires_at)
  VALUES ('vUc-Xc3OJRDC308MWlSmBfo2R_50r64gqM24uRsaH2M', 'g_Ub1mOf7XwLSCavbA', NULL, NULL, 1, 1767614400000, 1767614400000, 1775390400000);
INSERT INTO refresh_tokens (digest, grant_id, predecessor, key_id, answers, confirmed_at, created_at, expires_at)
  VALUES ('-GWoj1Y7n7xMIk9vur0uyfgQ7-_GGyEr2iDuZKb7KEA', 'g_Ub1mOf7XwLSCavbA', 'vUc-Xc3OJRDC308MWlSmBfo2R_50r64gqM24uRsaH2M', 'key-1', 1, NULL, 1767614400000, 1775390400000);
INSERT INTO access_tokens (digest, grant_id, answer, scope, created_at, expires_at)
  VALUES ('9MKET0Y7WpOlF96BtnoJyLnXlpe9Pn5RReIOHKIBPAY', 'g_Ub1mOf7XwLSCavbA', 'vUc-Xc3OJRDC308MWlSmBfo2R_50r64gqM24uRsaH2M', 'forgejo:delete', 1767614400000, 1767618000000);
INSERT INTO access_tokens (digest, grant_id, answer, scope, created_at, expires_at)
  VALUES ('Z2L2VFXbhes5zm7QQ1XXEL0DtdAxau-S3AhGzV3XK1Y', 'g_Ub1mOf7XwLSCavbA', '-GWoj1Y7n7xMIk9vur0uyfgQ7-_GGyEr2iDuZKb7KEA', 'forgejo:delete', 1767614400000, 1767618000000);
INSERT INTO sessions (id_digest, account_id, client_id, grant_id, protocol_version, handshake, created_at, last_used_at, initialized, server_capabilities, log_level, subscriptions, permission)
  VALUES ('hAl4KPwxqMjSkhDfSJAahd5_0BP2hrF7530b4py3qYs', 1, 'client-1', 'g_Ub1mOf7XwLSCavbA', '2025-11-25', '{"clientInfo":{"name":"editor"}}', 1767614400000, 1767614400000, 1, '{"tools":{}}', 'warning', '["file:///notes"]', 'a name');
