-- What Azure's Postgres has beyond Postgres, as far as a deployment sees it. Run in the database "postgres".
create role azure_pg_admin nologin createrole createdb;

create function pgaadauth_create_principal_with_oid(
  rolename text, objectid text, objecttype text, isadmin boolean, ismfa boolean
) returns text language plpgsql security definer set allow_system_table_mods = on as $$
begin
  execute format('create role %I login', rolename);
  insert into pg_shseclabel values
    (rolename::regrole, 'pg_authid'::regclass, 'pgaadauth', format('aadauth,oid=%s,type=%s', objectid, objecttype));
  return format('Created role for %s', rolename);
end $$;

-- In Azure this is SECURITY LABEL FOR "pgaadauth", which takes a module in the server.
create function entra_label(rolename text, new_label text)
returns void language sql security definer set allow_system_table_mods = on as $$
  delete from pg_shseclabel where objoid = rolename::regrole and provider = 'pgaadauth';
  insert into pg_shseclabel values (rolename::regrole, 'pg_authid'::regclass, 'pgaadauth', new_label);
$$;
