"""The database: tables, engine, migrations and the views that analysts query."""
