# Who may do what over FHIR in the generic functions; each policy is a scope, as in nuts-knooppunt.
package knooppunt

import rego.v1

fhir := input.action.fhir_rest

bsn_system := "http://fhir.nl/fhir/NamingSystem/bsn"

capability := data.capabilities[input.policy]

failed contains {"code": "not_allowed", "description": sprintf("interaction %s on %s is not offered to %s", [fhir.interaction_type, type, input.policy])} if {
	data.policy[input.policy].capability
	not interaction_offered
}

type := input.resource.type if input.resource.type != null

type := "the server" if input.resource.type == null

interaction_offered if {
	fhir.interaction_type in capability.interactions
	input.resource.type in capability.types
}

failed contains {"code": "not_allowed", "description": sprintf("search parameter %s is not offered to %s", [name, input.policy])} if {
	data.policy[input.policy].capability
	some name in object.keys(fhir.search_params)
	not name in capability.parameters
}

# What a policy has no list of, it does not offer: an include opens more than the request names.
failed contains {"code": "not_allowed", "description": sprintf("_include %s is not offered to %s", [each, input.policy])} if {
	some each in fhir.include
	not each in capability.include
}

failed contains {"code": "not_allowed", "description": sprintf("_revinclude %s is not offered to %s", [each, input.policy])} if {
	some each in fhir.revinclude
	not each in capability.revinclude
}

failed contains {"code": "not_implemented", "description": "the 29 query rules of bgz are not published with the policy: nothing is opened"} if {
	input.policy == "bgz"
}

failed contains {"code": "unexpected_input", "description": "the request names no client: give Patient/{id}, patient, subject or identifier"} if {
	data.policy[input.policy].consent
	not named(input.context.patient_id)
	not named(input.context.patient_bsn)
}

failed contains {"code": reason.code, "description": reason.description} if {
	data.policy[input.policy].consent
	not input.context.mitz_consent == true
	reason := input.context.mitz_reason
}

# --- eOverdracht

failed contains {"code": "not_allowed", "description": "eoverdracht_sender opens a read, PUT of Task/{id}, and Composition/{id}/$document"} if {
	input.policy == "eoverdracht_sender"
	not sender_offers
}

sender_offers if fhir.interaction_type == "read"

sender_offers if {
	fhir.interaction_type == "update"
	input.resource.type == "Task"
}

sender_offers if {
	fhir.operation == "$document"
	input.resource.type == "Composition"
	named(input.resource.id)
}

failed contains {"code": "not_allowed", "description": "no active Consent with scope eoverdracht permits this organisation this resource"} if {
	input.policy == "eoverdracht_sender"
	not "eoverdracht" in {each.scope | some each in input.resource.consents}
}

failed contains {"code": "not_allowed", "description": "eoverdracht_receiver opens a notification: POST on the base address"} if {
	input.policy == "eoverdracht_receiver"
	fhir.interaction_type != "transaction"
}

failed contains {"code": "unexpected_input", "description": "the token names no organisation (organization_ura)"} if {
	input.policy == "eoverdracht_receiver"
	not named(input.subject.organization.ura)
}

# null is not false in Rego: what must be there is asked for like this.
named(value) if {
	value != null
	value != ""
}

# --- medicatieoverdracht

failed contains {"code": "not_allowed", "description": "patient_enrollment_identifier is not the client of this request"} if {
	input.policy == "medicatieoverdracht_gf"
	not enrolled
}

enrolled if {
	named(input.context.patient_bsn)
	input.subject.patient_enrollment_identifier == sprintf("%s|%s", [bsn_system, input.context.patient_bsn])
}

# --- PZP

failed contains {"code": "not_allowed", "description": "pzp_gf opens Patient?identifier=<bsn> and the Consents of a client with scope treatment and category 129125009"} if {
	input.policy == "pzp_gf"
	not patient_by_bsn
	not treatment_consents
}

patient_by_bsn if {
	fhir.interaction_type == "search-type"
	input.resource.type == "Patient"
	object.keys(fhir.search_params) == {"identifier"}
}

treatment_consents if {
	fhir.interaction_type == "search-type"
	input.resource.type == "Consent"
	object.keys(fhir.search_params) == {"patient", "scope", "category"}
	fhir.search_params.scope in data.pzp.scopes
	fhir.search_params.category == [["http://snomed.info/sct|129125009"]]
}
