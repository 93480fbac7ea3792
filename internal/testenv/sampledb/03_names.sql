-- Names that must be quoted, everywhere a name can be.
CREATE SCHEMA "Schema with space";
CREATE SCHEMA "dot.ted";
CREATE SCHEMA "qu""ote's";
CREATE SCHEMA "Ünïcødé 数据 🐘";
CREATE TABLE "Schema with space"."Table with space" ("Id" int PRIMARY KEY, "select" text, "a.b" text, "with ""quote""" text, "naïve 🐘" text);
INSERT INTO "Schema with space"."Table with space" SELECT g, 'select ' || g, 'a.b', '"', '🐘' FROM generate_series(1, 200) g;
CREATE TABLE "dot.ted"."a.b" (id int PRIMARY KEY, v text);
INSERT INTO "dot.ted"."a.b" VALUES (1, 'one'), (2, 'two');
CREATE TABLE "qu""ote's"."it's ""quoted""" (id int PRIMARY KEY, v text);
INSERT INTO "qu""ote's"."it's ""quoted""" VALUES (1, E'it''s "x"');
CREATE TABLE "Ünïcødé 数据 🐘"."表 🐘" ("列" int PRIMARY KEY, "значение" text);
INSERT INTO "Ünïcødé 数据 🐘"."表 🐘" VALUES (1, 'данные'), (2, 'データ'), (3, '🐘🐘');
CREATE TABLE public."UPPER" (id int PRIMARY KEY);
CREATE TABLE public.upper (id int PRIMARY KEY);
INSERT INTO public."UPPER" VALUES (1);
INSERT INTO public.upper VALUES (1), (2);
CREATE TABLE public."user" (id int PRIMARY KEY, "order" int, "group" text, "table" text);
INSERT INTO public."user" VALUES (1, 1, 'g', 't');
CREATE TABLE public."star*question?" (id int);
INSERT INTO public."star*question?" VALUES (1);
CREATE TABLE public."dollar$|pipe(paren)[bracket]^+\back" (id int);
INSERT INTO public."dollar$|pipe(paren)[bracket]^+\back" VALUES (1);
CREATE TABLE public."line
break" (id int, "col
umn" text);
INSERT INTO public."line
break" VALUES (1, E'a\nb');
CREATE TABLE public."--comment; DROP TABLE x" (id int);
INSERT INTO public."--comment; DROP TABLE x" VALUES (1);
CREATE TABLE public.sixty_three_characters_are_the_most_that_a_name_may_have_in_pg_ (id int);
CREATE SEQUENCE "Schema with space"."Seq ""q""" START 5 INCREMENT 5 MINVALUE -100 MAXVALUE 1000 CYCLE CACHE 3;
SELECT nextval('"Schema with space"."Seq ""q"""');
