package iampolicy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

// encryptionContext names, in KMS, the repository that a key was wrapped for.
const encryptionContext = "pgbackup:repository"

// forReferences lets a job read the secrets its file names, one by one.
func forReferences(j job.Job, f Facts) (Document, error) {
	var secrets, parameters, services []string
	var keys []Statement
	var d Document
	references := j.References()
	for _, ref := range f.References {
		references = append(references, job.Reference{Field: "references", Ref: ref})
	}
	for _, r := range references {
		switch r.Ref.Scheme {
		case secretref.SecretsManager:
			secrets = append(secrets, secretARNs(r.Ref.Value, f)...)
			services = append(services, "secretsmanager."+regionOf(r.Ref.Value, f.Region)+".amazonaws.com")
		case secretref.SSM:
			parameters = append(parameters, parameterARN(r.Ref.Value, f))
			services = append(services, "ssm."+regionOf(r.Ref.Value, f.Region)+".amazonaws.com")
		case secretref.KMS:
			s, err := unwrapKey(r.Ref.Value, f)
			if err != nil {
				return d, fmt.Errorf("%s: %w", r.Field, err)
			}
			keys = append(keys, s)
		}
	}
	for i, s := range keys {
		if i > 0 {
			s.Sid += fmt.Sprint(i + 1) // each once
		}
		d.Statements = append(d.Statements, s)
	}
	if len(secrets) > 0 {
		d.Statements = append(d.Statements, Statement{Sid: "ReadSecrets", Actions: []string{"secretsmanager:GetSecretValue"}, Resources: secrets})
	}
	if len(parameters) > 0 {
		d.Statements = append(d.Statements, Statement{Sid: "ReadParameters", Actions: []string{"ssm:GetParameter"}, Resources: parameters})
	}
	if len(services) > 0 && len(f.SecretKMSKeys) > 0 {
		// The keys that AWS itself keeps for secrets (aws/secretsmanager, aws/ssm)
		// need no permission.
		slices.Sort(services)
		d.Statements = append(d.Statements, Statement{
			Sid: "DecryptSecrets", Actions: []string{"kms:Decrypt"}, Resources: f.SecretKMSKeys,
			Conditions: map[string]map[string][]string{"StringEquals": {"kms:ViaService": slices.Compact(services)}},
		})
	}
	return d, nil
}

// secretARNs of a secret. Secrets Manager adds a hyphen and six characters to the
// name, which only a full ARN holds; whether one is full cannot be told from a name
// that itself ends so.
func secretARNs(value string, f Facts) []string {
	if !strings.HasPrefix(value, "arn:") {
		return []string{f.arn("secretsmanager", f.Region, "secret:"+value+"-??????")}
	}
	if i := strings.LastIndexByte(value, '-'); i == len(value)-7 {
		return []string{value, value + "-??????"}
	}
	return []string{value + "-??????"}
}

func parameterARN(value string, f Facts) string {
	if strings.HasPrefix(value, "arn:") {
		return value
	}
	return f.arn("ssm", f.Region, "parameter/"+strings.TrimPrefix(value, "/"))
}

// unwrapKey lets a run unwrap the key of its repository. The encryption context
// keeps it from decrypting anything else that the same key protects.
func unwrapKey(arn string, f Facts) (Statement, error) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[2] != "kms" {
		return Statement{}, fmt.Errorf("%q is not the ARN of a key", arn)
	}
	s := Statement{Sid: "UnwrapRepositoryKey", Actions: []string{"kms:Decrypt"}, Resources: []string{arn}, Conditions: map[string]map[string][]string{}}
	if f.RepositoryID != "" {
		s.Conditions["StringEquals"] = map[string][]string{"kms:EncryptionContext:" + encryptionContext: {f.RepositoryID}}
	} else {
		s.Conditions["ForAnyValue:StringEquals"] = map[string][]string{"kms:EncryptionContextKeys": {encryptionContext}}
	}
	if alias, ok := strings.CutPrefix(parts[5], "alias/"); ok {
		// Permissions are held against the key, never against its alias.
		s.Resources = []string{strings.Join(append(parts[:5:5], "key/*"), ":")}
		if s.Conditions["ForAnyValue:StringEquals"] == nil {
			s.Conditions["ForAnyValue:StringEquals"] = map[string][]string{}
		}
		s.Conditions["ForAnyValue:StringEquals"]["kms:ResourceAliases"] = []string{"alias/" + alias}
	}
	return s, nil
}
