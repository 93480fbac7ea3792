package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// stateKey is where the state file of a script is.
const stateKey = "env:/prod/terraform.tfstate"

// s3Server is the key of the S3 server of a script.
type s3Server struct{}

// s3Put FILE [SUFFIX] writes a file to STATE, or to what is beside it.
func s3Put(ts *testscript.TestScript, _ bool, args []string) {
	srv, key := ts.Value(s3Server{}).(*testenv.S3Server), stateKey+strings.Join(args[1:], "")
	_, err := srv.Client().PutObject(context.Background(), &awss3.PutObjectInput{Bucket: &srv.Bucket, Key: &key, Body: strings.NewReader(ts.ReadFile(args[0]))})
	ts.Check(err)
}

// s3Remove [SUFFIX] deletes STATE, or what is beside it.
func s3Remove(ts *testscript.TestScript, _ bool, args []string) {
	srv, key := ts.Value(s3Server{}).(*testenv.S3Server), stateKey+strings.Join(args, "")
	_, err := srv.Client().DeleteObject(context.Background(), &awss3.DeleteObjectInput{Bucket: &srv.Bucket, Key: &key})
	ts.Check(err)
}

// s3Cat FILE writes STATE to a file.
func s3Cat(ts *testscript.TestScript, _ bool, args []string) {
	srv, key := ts.Value(s3Server{}).(*testenv.S3Server), stateKey
	out, err := srv.Client().GetObject(context.Background(), &awss3.GetObjectInput{Bucket: &srv.Bucket, Key: &key})
	ts.Check(err)
	defer out.Body.Close()
	data, err := io.ReadAll(out.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o600))
}

// putRevision DOCUMENT ENVELOPE writes a revision with an envelope as the provider
// makes it: its loss is one of this change.
func putRevision(ts *testscript.TestScript, _ bool, args []string) {
	r, ctx := openRepo(ts), context.Background()
	document, err := policy.Parse([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	var envelope policy.Envelope
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &envelope))
	after, from := 0, ""
	if current, err := r.CurrentPolicy(ctx, document.Name); err == nil {
		after, from = current.Number, current.StoredDigest()
	}
	if envelope.Loss != nil {
		envelope.Loss.From, envelope.Loss.To = from, document.Digest()
	}
	_, err = r.PutPolicyRevision(ctx, after, document, envelope)
	ts.Check(err)
}

// commitPoint SOURCE POLICY DAYS… commits small recovery points that began so many
// days ago.
func commitPoint(ts *testscript.TestScript, _ bool, args []string) {
	r, ctx := openRepo(ts), context.Background()
	for _, days := range args[2:] {
		age, err := time.ParseDuration(days + "h")
		ts.Check(err)
		start := time.Now().Add(-24 * age)
		p, err := r.NewPoint(args[0], "logical", start, repo.WriterOptions{})
		ts.Check(err)
		ts.Check(p.WriteStream(ctx, "archive", []byte("what was backed up")))
		m := &repo.Manifest{End: start.Add(time.Minute), Policy: args[1], PolicyRevision: 1}
		if args[1] == "none" {
			m.Policy, m.PolicyRevision = "", 0
		}
		ts.Check(p.Commit(ctx, m))
	}
}

// s3Tags SOURCE/KIND/ID prints the tags and the storage class of the data objects
// of a point, a line each.
func s3Tags(ts *testscript.TestScript, _ bool, args []string) {
	srv, ctx := ts.Value(s3Server{}).(*testenv.S3Server), context.Background()
	client, prefix := srv.Client(), ts.Getenv("DB")+"/points/"+args[0]+"/"
	found, err := client.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: &srv.Bucket, Prefix: &prefix})
	ts.Check(err)
	var lines strings.Builder
	for _, o := range found.Contents {
		out, err := client.GetObjectTagging(ctx, &awss3.GetObjectTaggingInput{Bucket: &srv.Bucket, Key: o.Key})
		ts.Check(err)
		var tags []string
		for _, tag := range out.TagSet {
			tags = append(tags, *tag.Key+"="+*tag.Value)
		}
		slices.Sort(tags)
		lines.WriteString(strings.Join(tags, " ") + " " + string(o.StorageClass) + "\n")
	}
	_, err = ts.Stdout().Write([]byte(lines.String()))
	ts.Check(err)
}
