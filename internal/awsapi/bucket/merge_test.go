package bucket

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"pgregory.net/rapid"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// theirStatement is one that somebody else wrote, in whatever spelling.
var theirStatement = rapid.Custom(func(t *rapid.T) string {
	space := rapid.SampledFrom([]string{"", " ", "\n\t  "})
	sid := rapid.SampledFrom([]string{"", `"Sid":"Theirs",`, `"Sid" : "pgbackupTLSOnly",`, `"Sid":"PgbackupTLSOnly2",`}).Draw(t, "sid")
	rest := rapid.SampledFrom([]string{
		`"Effect":"Allow","NotPrincipal":{"AWS":"*"},"NotAction":"s3:GetObject","Resource":["b","a"]`,
		`"Effect":"Deny","Principal":"*","Action":["s3:*"],"Resource":"arn:aws:s3:::x<&>/ü","Condition":{"Bool":{"aws:SecureTransport":false}}`,
		`"Effect":"Allow","Principal":{"Service":"logging.s3.amazonaws.com"},"Action":"s3:PutObject","Resource":"a","Future":{"x":[1,2.50]}`,
	}).Draw(t, "rest")
	return "{" + space.Draw(t, "before") + sid + space.Draw(t, "between") + rest + space.Draw(t, "after") + "}"
})

func TestForeignStatementsOfABucketPolicySurviveToTheByte(t *testing.T) {
	t.Parallel()
	b := Open(aws.Config{Region: "us-east-1"}, "acme", Options{})
	const key = "arn:aws:kms:us-east-1:123456789012:key/1"
	rapid.Check(t, func(t *rapid.T) {
		theirs := rapid.SliceOfN(theirStatement, 0, 4).Draw(t, "theirs")
		head := rapid.SampledFrom([]string{`{"Version":"2012-10-17","Id":"x & y",`, `{ "Id" : "old", "Version": "2008-10-17" ,`, `{`}).Draw(t, "head")
		list := "[" + strings.Join(theirs, " , ") + "]"
		if len(theirs) == 1 && rapid.Bool().Draw(t, "alone") {
			list = theirs[0]
		}
		raw := []byte(head + `"Statement":` + list + "}")
		if len(theirs) == 0 {
			raw = nil
		}
		wanted := b.statements(Protections{Transport: TLSOnly, OtherEncryption: allBut(key)}, key)
		merged, changed, err := mergeStatements(raw, ourSids, wanted)
		if err != nil || !changed || !json.Valid(merged) {
			t.Fatalf("%v %v %s", err, changed, merged)
		}
		for _, s := range theirs {
			if !bytes.Contains(merged, []byte(s)) {
				t.Fatalf("%s is lost in\n%s", s, merged)
			}
		}
		found, err := parseStatements(merged)
		if err != nil || !found.has(wanted) || len(found) != len(theirs)+len(wanted) || b.otherEncryption(found) != allBut(key) {
			t.Fatalf("%v: %s", err, merged)
		}
		if _, changed, err := mergeStatements(merged, ourSids, wanted); err != nil || changed {
			t.Fatalf("the second merge changes it: %v", err)
		}
		back, changed, err := mergeStatements(merged, ourSids, nil)
		if err != nil || !changed {
			t.Fatal(err, changed)
		}
		if len(theirs) == 0 {
			if back != nil {
				t.Fatalf("left: %s", back)
			}
			return
		}
		left, err := parseStatements(back)
		if err != nil || len(left) != len(theirs) {
			t.Fatalf("%v: %s", err, back)
		}
		for i, s := range left {
			if string(s.raw) != theirs[i] {
				t.Fatalf("%s became %s", theirs[i], s.raw)
			}
		}
	})
}

func TestForeignReplicationRulesSurviveToTheByte(t *testing.T) {
	t.Parallel()
	const role = "arn:aws:iam::123456789012:role/theirs"
	rapid.Check(t, func(t *rapid.T) {
		var theirs []string
		for i := range rapid.IntRange(1, 4).Draw(t, "rules") {
			extra := rapid.SampledFrom([]string{"", "<Future><ID>pgbackup/prod</ID></Future>", "<!-- a note -->\n", "<Filter><And><Prefix>x/</Prefix><Tag><Key>a</Key><Value>b</Value></Tag></And></Filter>"}).Draw(t, "extra")
			theirs = append(theirs, fmt.Sprintf("<Rule>\n <ID>their-%d</ID><Priority>%d</Priority><Status>Enabled</Status>%s<Destination><Bucket>arn:aws:s3:::other</Bucket></Destination></Rule>", i, i*rapid.IntRange(1, 3).Draw(t, "by"), extra))
		}
		raw := []byte(`<?xml version="1.0" encoding="UTF-8"?>` + "\n<ReplicationConfiguration xmlns=\"" + s3Namespace + "\"><Role>" + role + "</Role>" + strings.Join(theirs, "\n") + "</ReplicationConfiguration>")
		want := Replication{Prefix: "prod/", Role: role, Replica: "arn:aws:s3:::acme-dr", StorageClass: "GLACIER_IR", KMSKey: "arn:aws:kms:eu-west-1:123456789012:key/1"}
		for range 2 { // another one in its place, after the first
			d, err := parseReplication(raw)
			if err != nil {
				t.Fatal(err)
			}
			merged, changed, err := d.with(want)
			if err != nil || !changed {
				t.Fatalf("%v %v", err, changed)
			}
			after, err := parseReplication(merged)
			if err != nil || len(after.rules) != len(theirs)+1 {
				t.Fatalf("%v: %s", err, merged)
			}
			if _, changed, err := after.with(want); err != nil || changed {
				t.Fatalf("the second merge changes it: %v\n%s", err, merged)
			}
			priorities := map[int]bool{}
			for _, r := range after.rules {
				priorities[r.priority] = true
				if r.id == "pgbackup/prod" && r.says != withoutRole(want) {
					t.Fatalf("%+v", r.says)
				}
			}
			if own := after.rules[len(after.rules)-1]; own.id == "pgbackup/prod" && len(priorities) == 1 && len(after.rules) > 2 {
				t.Fatalf("our rule has a priority of others: %s", merged)
			}
			for _, s := range theirs {
				if !bytes.Contains(merged, []byte(s)) {
					t.Fatalf("%s is lost in\n%s", s, merged)
				}
			}
			raw, want.StorageClass = merged, ""
		}
		d, err := parseReplication(raw)
		if err != nil {
			t.Fatal(err)
		}
		back, changed := d.without("pgbackup/prod")
		if !changed || bytes.Contains(back, []byte("acme-dr")) {
			t.Fatalf("left: %s", back)
		}
		for _, s := range theirs {
			if !bytes.Contains(back, []byte(s)) {
				t.Fatalf("%s is lost in\n%s", s, back)
			}
		}
	})
}

func TestReplicationBesideOthersNeedsTheirRoleAndTheirForm(t *testing.T) {
	t.Parallel()
	want := Replication{Prefix: "prod/", Role: "arn:aws:iam::1:role/ours", Replica: "arn:aws:s3:::acme-dr"}
	const rule = "<Rule><ID>theirs</ID>%s<Status>Enabled</Status><Destination><Bucket>b</Bucket></Destination></Rule>"
	for _, c := range []struct{ role, form, want string }{
		{"arn:aws:iam::1:role/theirs", "<Filter><Prefix></Prefix></Filter>", "set replica.role_arn to it"},
		{"arn:aws:iam::1:role/ours", "<Prefix>x</Prefix>", "older form"},
	} {
		d, err := parseReplication([]byte("<ReplicationConfiguration><Role>" + c.role + "</Role>" + fmt.Sprintf(rule, c.form) + "</ReplicationConfiguration>"))
		if err == nil {
			_, _, err = d.with(want)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v instead of %s", err, c.want)
		}
	}
	for _, bad := range []string{"<x/>", "<s3:ReplicationConfiguration xmlns:s3='a'></s3:ReplicationConfiguration>", "<ReplicationConfiguration><Rule></ReplicationConfiguration>"} {
		if _, err := parseReplication([]byte(bad)); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

func TestBucketsKnowTheirPartition(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]string{"eu-west-1": "aws", "": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov", "us-isob-east-1": "aws-iso-b"} {
		if got := ARN(region, "b"); got != "arn:"+want+":s3:::b" {
			t.Errorf("%s: %s", region, got)
		}
	}
}

func TestABucketIsMadeInItsRegionAndTakenAwayWhenEmpty(t *testing.T) {
	t.Parallel()
	moto := testenv.AWS(t)
	cfg := aws.Config{Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("testing", "testing", "")}
	b := Open(cfg, "made-here", Options{Endpoint: moto.Endpoint})
	making := Making{Tags: awsapi.OwnTags(map[string]string{"team": "dba"}, "s3://made-here", "made-here"), ObjectLock: true}
	for _, first := range []bool{true, false} {
		if made, err := b.Make(t.Context(), making); err != nil || made != first {
			t.Fatalf("made %v, %v", made, err)
		}
	}
	if home, err := b.Home(t.Context()); err != nil || home != "eu-west-1" {
		t.Errorf("%s %v", home, err)
	}
	tags, err := b.Tags(t.Context())
	if err != nil || tags["team"] != "dba" || tags[TagMadeBy] != awsapi.Terraform {
		t.Errorf("%v %v", tags, err)
	}
	if lacking, err := b.Protect(t.Context(), Wish{ObjectLock: true}); err != nil || len(lacking) > 0 {
		t.Errorf("lacking %v, %v", lacking, err)
	}
	if p, err := b.Protections(t.Context()); err != nil || p[ObjectLock] != On || p[Transport] != NotOverTLS || len(Differ(p, b.Wanted(Wish{ObjectLock: true}))) > 0 {
		t.Errorf("%v %v", p, err)
	}
	for range 2 {
		if err := b.Remove(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if there, err := b.Exists(t.Context()); err != nil || there {
		t.Errorf("%v %v", there, err)
	}
}
