# zendNotificatie: from a bronhouder to a participant (iWlz RFC0008).
package iwlz.zendnotificatie

import rego.v1

import data.iwlz.lib

message := input.query.arguments.notificatieInput

identifier_of := {"Zorgaanbieder": "AGB", "Zorgkantoor": "UZOVI", "Onderneming": "KVK"}

claim_of := {"Zorgaanbieder": "agb", "Zorgkantoor": "uzovi", "Onderneming": "kvk"}

events := lib.profile.events

known_event if {
	some receiver in object.keys(events)
	message.eventType in events[receiver]
}

scope_fits if {
	some scope in input.scopes
	scope == sprintf("organisaties/%s/notificaties/notificatie:create", [data.organisations[message.ontvangerIDType]])
}

failed contains {"rule": "bericht.scope-receiver"} if not scope_fits

failed contains {"rule": "bericht.instantie-type"} if {
	scope_fits
	not lib.claim("instantie_type")
}

sender_type_fits if {
	message.afzenderIDType == identifier_of[lib.claim("instantie_type")]
	message.afzenderIDType in lib.profile.notification_senders
}

failed contains {"rule": "bericht.afzender-type"} if {
	scope_fits
	not sender_type_fits
}

failed contains {"rule": "bericht.afzender-kvk"} if {
	scope_fits
	sender_type_fits
	message.afzenderIDType == "KVK"
	not lib.is_ciz
}

failed contains {"rule": "bericht.afzender-id"} if {
	scope_fits
	not sender_is_caller
}

sender_is_caller if message.afzenderID == lib.claim(claim_of[lib.claim("instantie_type")])

failed contains {"rule": "bericht.event"} if {
	scope_fits
	not known_event
}

failed contains {"rule": "notificatie.ontvanger"} if {
	scope_fits
	known_event
	not receiver_fits
}

receiver_fits if {
	message.eventType in events[message.ontvangerIDType]
	to_vecozo_if_mutation
}

to_vecozo_if_mutation if message.eventType != "MUTATIE_CLIENT"

to_vecozo_if_mutation if message.ontvangerID in data.parties.vecozo

failed contains {"rule": "notificatie.ciz-event", "found": concat(" or ", lib.profile.ciz_events)} if {
	scope_fits
	lib.is_ciz
	not message.eventType in lib.profile.ciz_events
}

failed contains {"rule": "notificatie.ciz-only"} if {
	scope_fits
	not lib.is_ciz
	message.eventType in lib.profile.ciz_events
}

failed contains {"rule": "notificatie.mutatie-client"} if {
	scope_fits
	sender_type_fits
	message.eventType == "MUTATIE_CLIENT"
	not message.afzenderID in data.mutatie_client_afzenders
}

failed contains {"rule": "bericht.record"} if {
	scope_fits
	lib.profile.record_ids
	some each in message.subjectList
	not regex.match(lib.profile.record_ids, each.recordID)
}
